"""The samples that are left when copies are withheld: a folder to release, and a list of all samples."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.outcomes import may_be_released
from copylens.auditing.sums import FILES, write_sums
from copylens.data import source_files
from copylens.data.listing import files_of, find_scans, listed_scans
from copylens.jobs.checksums import checked, file_checksum, note_of, unfinished
from copylens.jobs.files import new_array, read_array, read_table, write_table

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins with one of these


def gather_rest(
    verdict_path: Path,
    samples_path: Path,
    synthetic_path: Path,
    listing: dict | None,
    scans_path: Path | None,
    files_path: Path,
    folder: Path,
) -> None:
    """Write into `folder` list.tsv (sample, file, withheld), and files/, the samples that may be released: those that
    aren't withheld, and none where the verdict on them isn't PASS.

    files/ has copies of the samples' files, under their own names, and SHA256SUMS. Where samples have no files of their
    own (a network drew them, or a file holds several) its images.npy has their images on the audit's grid, float32
    [sample, *grid]. listing, scans_path: settings of the data set of samples, and its scans.tsv; None for a network's
    samples. files_path: the record of the audited files (`copylens.data.source_files`). Cells that a spreadsheet would
    run get a leading apostrophe.

    Raises ValueError, and leaves no folder, where the data set or a copied file has changed since the audit.
    """
    samples = read_table(samples_path)
    names = sample_names(listing, scans_path, len(samples))
    released = may_be_released(json.loads(checked(verdict_path).read_text(encoding="utf-8")))
    kept = np.flatnonzero(~samples["withheld"].to_numpy(bool) & released)
    files = _files(listing) if listing else None
    listed = pd.DataFrame({"sample": samples["sample"], "file": [harmless(name) for name in names]})
    with _whole_folder(folder) as temporary:
        if not len(kept):
            (temporary / FILES).mkdir()
        elif listing is None or files is None:
            synthetic = read_array(synthetic_path)
            with new_array(temporary / FILES / "images.npy", (len(kept), *synthetic.shape[1:])) as images:
                images[:] = synthetic[kept]
            note_of(temporary / FILES / "images.npy").unlink()  # SHA256SUMS has it
        else:
            root = find_scans(listing)[0]
            audited = source_files.read(files_path)["synthetic"]["files"]
            for file in (file for number in kept for file in files[number]):
                target = temporary / FILES / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / file, target)
                if file not in audited or file_checksum(target) != audited[file][-1]:
                    raise ValueError(f"{file}: isn't the file that was audited; run again")
        write_table(listed.assign(withheld=samples["withheld"]), temporary / "list.tsv")
        write_sums(temporary / FILES)


def sample_names(listing: dict | None, scans_path: Path | None, n: int) -> list[str]:
    """The name of each of `n` samples: its file, with the number of its part; or its number, if a network drew it."""
    if listing is None or scans_path is None:
        return [f"sample {number}" for number in range(1, n + 1)]
    scans = listed_scans(listing, scans_path)[1]
    return [scan.source if scan.part is None else f"{scan.source} [{scan.part}]" for scan in scans]


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place when the body ends; removed when the body fails."""
    temporary = unfinished(folder)
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process with this number
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def harmless(cell: str) -> str:
    """The cell, with a leading apostrophe if a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _files(listing: dict) -> list[list[str]] | None:
    """Each sample's own files below the data set's folder; None where several samples share one."""
    root, scans = find_scans(listing)
    files = [files_of(root, scan, listing) for scan in scans]
    used = [(root / file).resolve() for of_sample in files for file in of_sample]
    alone = len(set(used)) == len(used) and all(scan.part is None for scan in scans)
    return files if alone else None
