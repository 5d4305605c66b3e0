"""The row table of a data set: its scans, under pseudonyms."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.kinds import implementation
from copylens.config.spec import data_root
from copylens.data import source_files
from copylens.data.folders import choose
from copylens.data.limits import check_pixels
from copylens.data.scan import UNKNOWN, Image, Scan
from copylens.jobs.files import read_table, write_table
from copylens.jobs.parallel import in_order


def find_scans(settings: dict) -> tuple[Path, list[Scan]]:
    """(root, scans) of a data set, in the reader's order. Roots are relative to COPYLENS_DATA (default `data/`).

    Where the settings name a table, only the scans that it names, with its patients (`copylens.data.folders.choose`);
    with `only`, those of patients all of whose scans have its values: data sets of different values of a column share
    no patient.
    """
    root = data_root() / settings.get("root", "")
    scans = choose(root, reader_of(settings).list_scans(root, settings), settings)
    for column, value in settings.get("only", {}).items():
        scans = _only(scans, column, settings["about"].index(column), value)
    return root, scans


def _only(scans: list[Scan], column: str, place: int, value: str) -> list[Scan]:
    others = {scan.patient for scan in scans if scan.about[place] != value}
    kept = [scan for scan in scans if scan.patient not in others]
    if not kept:
        known = ", ".join(sorted({scan.about[place] for scan in scans})[:5])
        raise ValueError(f"only: no patient all of whose images have {column} '{value}'; values are {known}")
    return kept


def listed_scans(settings: dict, table_path: Path) -> tuple[Path, list[Scan]]:
    """`find_scans`, compared with scans.tsv; ValueError if an image was added, removed or changed."""
    root, scans = find_scans(settings)
    reader = reader_of(settings)
    checksums = read_table(table_path)["checksum"].tolist()
    # Files are read only if their number is unchanged.
    if len(scans) != len(checksums) or [reader.checksum(root, scan, settings) for scan in scans] != checksums:
        raise ValueError(f"{table_path}: the data set has changed since it was listed; run again")
    return root, scans


def list_scans(settings: dict, table_path: Path, state: str = "", n_processes: int = 1) -> None:
    """Write scans.tsv: columns scan, patient (both pseudonyms), shape (before resampling), checksum of the source.

    Then split, if a table gives it, colourful, if images show colours, and about_<column> for each column that
    settings['about'] names. Patients are numbered in the order of a hash of their id, so that a number shows nothing of
    the id. With the list of ids the numbers can be computed again: a pseudonym isn't anonymous. A scan of an unknown
    patient counts as a patient of its own, unknown_<number>. Beside it, in a restricted folder, the record of the files
    (`copylens.data.source_files`) with their `state`. Every scan is opened: a damaged file is found here, before
    anything is computed, by `n_processes` at once. Raises ValueError naming the file.
    """
    reader = reader_of(settings)
    root, scans = find_scans(settings)
    # First, so that later changes differ from the record.
    files = _record(root, scans, settings, state)
    patients = pseudonyms_of(scans)

    def row_of(number: int) -> dict:
        scan = scans[number]
        image = load_scan(reader, root, scan, settings)
        row = {
            "scan": f"scan_{number:06d}",
            "patient": patients[number],
            "shape": "x".join(map(str, image.pixels.shape)),
            "checksum": reader.checksum(root, scan, settings),
        }
        if scan.split is not None:
            row["split"] = scan.split
        if image.colourful:
            row["colourful"] = True
        names = [f"about_{column}" for column in settings.get("about", [])]
        return row | dict(zip(names, scan.about, strict=True))

    table = pd.DataFrame(in_order(row_of, len(scans), n_processes))
    if changed := source_files.differing(files["files"], source_files.look(files)):
        raise ValueError(f"{changed[0]}: changed while it was read; run again once nothing writes there")
    write_table(table, table_path)
    source_files.write(files, source_files.record_of(table_path))


def pseudonyms_of(scans: list[Scan]) -> list[str]:
    """The pseudonym of each scan's patient. Patients are numbered in the order of a hash of their id."""
    patients = {scan.patient for scan in scans if scan.patient is not None}
    in_hash_order = sorted(patients, key=_hash)
    pseudonyms = {patient: f"patient_{number:05d}" for number, patient in enumerate(in_hash_order)}
    return [
        f"{UNKNOWN}{number:06d}" if scan.patient is None else pseudonyms[scan.patient]
        for number, scan in enumerate(scans)
    ]


def files_of(root: Path, scan: Scan, settings: dict) -> list[str]:
    """Paths below the root of a scan's own files."""
    reader = reader_of(settings)
    return reader.files(root, scan, settings) if hasattr(reader, "files") else [scan.source]


def _record(root: Path, scans: list[Scan], settings: dict, state: str) -> dict:
    if "table" in settings:  # other files are no part of the data set
        paths = {path for scan in scans for path in files_of(root, scan, settings)}
        return source_files.take(settings, [], {settings["table"], *paths}, state)
    reader = reader_of(settings)
    patterns = reader.patterns(settings) if hasattr(reader, "patterns") else [settings["pattern"]]
    return source_files.take(settings, patterns, [], state)


def _hash(patient: str) -> str:
    # An id from a file's name needn't be UTF-8.
    return hashlib.sha256(patient.encode(errors="surrogateescape")).hexdigest()


def reader_of(settings: dict):
    """The module that reads the data set's format."""
    return implementation("readers", settings["reader"])


def load_scan(reader, root: Path, scan: Scan, settings: dict) -> Image:
    """One image in the source's own units; ValueError naming the file if its pixels are unusable."""
    image = reader.load(root, scan, settings)
    check_pixels(scan.source, image.pixels.shape, settings["limits"])
    if not (np.isfinite(image.spacing).all() and min(image.spacing) > 0):
        spacing = " x ".join(f"{size:g}" for size in image.spacing)
        raise ValueError(f"{scan.source}: has pixels of {spacing} mm; sizes above 0 are needed")
    if not np.isfinite(image.pixels).all():
        raise ValueError(f"{scan.source}: holds values that are not finite (NaN or infinite)")
    if image.pixels.min() == image.pixels.max():
        value = image.pixels.min()
        raise ValueError(f"{scan.source}: every pixel has the same value, {value:g}; there is nothing to see")
    return image
