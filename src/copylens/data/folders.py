"""Settings shared by all data sets of files: patterns, patients in names, a table, links."""

import glob
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from copylens.data.limits import check_bytes, reading, search_all
from copylens.data.scan import SPLITS, Scan

BIDS_PATIENT = "sub-([A-Za-z0-9]+)"


def list_files(root: Path, settings: dict, pattern: str) -> list[str]:
    """Paths below `root` of the files that match the glob `pattern`, sorted; no hidden ones (`.name`), nor the table.

    Raises ValueError for a missing or empty folder, a link that leads nowhere, a file with two names, and one outside
    `root` unless settings['outside_links'] is true.
    """
    if not root.is_dir():
        raise ValueError(f"root: no folder {root}; set COPYLENS_DATA to the folder that holds it")
    matching = {Path(path).as_posix() for path in glob.glob(pattern, root_dir=root, recursive=True)}
    paths = sorted(matching - {Path(settings.get("table", "")).as_posix()})
    broken = [path for path in paths if (root / path).is_symlink() and not (root / path).exists()]
    if broken:
        raise ValueError(f"{broken[0]}: a link that leads nowhere; mend it or take it away")
    files = [path for path in paths if (root / path).is_file()]
    if not files:
        raise ValueError(f"root: no file in {root} matches the pattern '{pattern}'")
    name_of: dict[Path, str] = {}
    for path in files:
        other = name_of.setdefault(inside(root, settings, path), path)
        if other != path:
            raise ValueError(f"{path}: a link to {other}, which is in the data set already; take one of them away")
    return files


def inside(root: Path, settings: dict, path: str) -> Path:
    """The resolved `path` below `root`; ValueError if it leads outside and settings['outside_links'] isn't true."""
    try:
        target = (root / path).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a null character, or links in a circle
        raise ValueError(f"{path!r}: is no path of a file") from error
    if not settings.get("outside_links") and not target.is_relative_to(root.resolve()):
        raise ValueError(f"{path}: leads out of the folder of its data set; outside_links: true allows it")
    return target


def patients_of(paths: list[str], settings: dict) -> list[str | None]:
    """Each path's patient: the first group of the expression settings['patient']; None without an expression.

    Raises ValueError for a path that the expression doesn't match, and for an expression that takes too long.
    """
    expression = settings["patient"]
    if expression is None or "table" in settings:
        return [None] * len(paths)
    patients = search_all("patient", expression, paths, settings["limits"])
    for path, patient in zip(paths, patients, strict=True):
        if not patient:
            raise ValueError(
                f"patient: the expression '{expression}' doesn't match the file {path}; "
                "it must give every file's patient in its first group"
            )
    return patients


def about_of(row: dict[str, str], settings: dict, where: str, identities: Iterable[str]) -> tuple[str, ...]:
    """The columns settings['about'] in a `row` of the table `where`; its columns `identities` are never given."""
    known = [column for column in row if column not in identities]
    unknown = [column for column in settings.get("about", []) if column not in known]
    if unknown:
        raise ValueError(f"about: no column '{unknown[0]}' in {where} that may be shown; there are {', '.join(known)}")
    return tuple(row[column] for column in settings.get("about", []))


def read_rows(root: Path, settings: dict, path: str, key: str, columns: list[str] | None = None) -> list[dict]:
    """Rows of a .csv or .tsv file below `root`, every value as text. `columns` names those of a file without a header.

    Raises ValueError, which begins with the file's name or the configuration's `key`, if the file can't be read.
    """
    separator = "\t" if path.endswith(".tsv") else ","
    place = inside(root, settings, path)
    if not place.is_file():
        raise ValueError(f"{key}: no file {path} in {root}")
    check_bytes(path, place.stat().st_size, settings["limits"])
    with reading(path, settings["limits"], "can't be read as a table in UTF-8; it is damaged or something else"):
        _refuse_nulls(place, path)
        table = pd.read_csv(
            place, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", names=columns, index_col=False
        )
        return table.fillna("").to_dict("records")


def _refuse_nulls(place: Path, path: str) -> None:
    """Raise ValueError for null bytes: pandas reads past them, or stops in the middle of a value."""
    with place.open("rb") as file:
        if any(b"\0" in block for block in iter(lambda: file.read(2**20), b"")):
            raise ValueError(f"{path}: holds null bytes; save it as a table in UTF-8")


def choose(root: Path, scans: list[Scan], settings: dict) -> list[Scan]:
    """The scans that settings['table'] names, with the patient, split and `about` of its rows; all without a table.

    Its columns: path (below `root`, as the reader's scans have it), patient, optionally split (one of SPLITS), and
    those of `about`. Raises ValueError for a table that lacks columns, names a file twice, one that isn't there, that
    the reader doesn't list or that lies outside the folder, or has an unknown split; and for an `about` without
    columns.
    """
    table = settings.get("table")
    if table is None:
        if scans and len(scans[0].about) != len(settings.get("about", [])):
            raise ValueError(f"about: {settings['reader']} has no columns of its own; name a table that has them")
        return scans
    listed = {scan.source for scan in scans}
    row_of = {}
    for row in read_rows(root, settings, table, "table"):
        if not {"path", "patient"} <= set(row):
            raise ValueError(f"{table}: needs the columns path and patient; it has {', '.join(row)}")
        path = PurePosixPath(row["path"]).as_posix()
        if path in row_of:
            raise ValueError(f"{table}: names {path} twice")
        if not row["patient"]:
            raise ValueError(f"{table}: gives {path} no patient")
        if row.get("split", "unused") not in SPLITS:
            raise ValueError(f"{table}: gives {path} the split '{row['split']}'; it must be one of {', '.join(SPLITS)}")
        if not os.path.exists(inside(root, settings, path)):  # false, too, for a name that no file can have
            raise ValueError(f"{table}: names {path}, but there is no such file")
        if path not in listed:
            raise ValueError(f"{table}: names {path}, which {settings['reader']} doesn't list with these settings")
        row_of[path] = row
    if not row_of:
        raise ValueError(f"{table}: has no rows")
    return [
        replace(
            scan,
            patient=row_of[scan.source]["patient"],
            split=row_of[scan.source].get("split"),
            about=about_of(row_of[scan.source], settings, table, ("path", "patient", "split")),
        )
        for scan in scans
        if scan.source in row_of
    ]
