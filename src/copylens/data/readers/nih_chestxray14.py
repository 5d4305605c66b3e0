"""NIH ChestX-ray14: PNG images anywhere below one folder; the table Data_Entry_2017.csv gives their patients."""

import glob
from collections import Counter
from pathlib import Path, PurePosixPath

from copylens.data.folders import about_of, list_files, read_rows
from copylens.data.readers.image_folder import checksum, load
from copylens.data.scan import Scan

__all__ = ["SETTINGS", "checksum", "list_scans", "load", "patterns"]

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  # The table of the images and their patients.
  entries: {type: string, default: Data_Entry_2017.csv}
"""

NAME, PATIENT = "Image Index", "Patient ID"


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per PNG. Rows without an image are only counted: often only a part of the data set is there.

    Raises ValueError for an image without a row, and for a name that two rows or two images have.
    """
    entries = settings["entries"]
    paths = list_files(root, settings, "**/*.png")
    rows = read_rows(root, settings, entries, "entries")
    for column in (NAME, PATIENT):
        if rows and column not in rows[0]:
            raise ValueError(f"{entries}: has no column '{column}'; it has {', '.join(rows[0])}")
    _refuse_repeats([row[NAME] for row in rows], f"{entries}: has two rows for")
    _refuse_repeats([PurePosixPath(path).name for path in paths], "root: two images are called")
    row_of = {row[NAME]: row for row in rows}
    scans = []
    for path in paths:
        row = row_of.pop(PurePosixPath(path).name, None)
        if row is None or not row[PATIENT]:
            raise ValueError(f"{path}: {entries} has no row of this image")
        # A table of the user's own has its own columns.
        about = () if "table" in settings else about_of(row, settings, entries, (NAME, PATIENT))
        scans.append(Scan(path, row[PATIENT], about=about))
    if row_of:
        print(f"{entries}: {len(row_of)} of {len(rows)} rows have no image here")
    return scans


def patterns(settings: dict) -> list[str]:
    """Globs of all files that are read."""
    return ["**/*.png", glob.escape(settings["entries"])]


def _refuse_repeats(names: list[str], message: str) -> None:
    name, count = next(iter(Counter(names).most_common(1)), (None, 0))
    if count > 1:
        raise ValueError(f"{message} {name}")
