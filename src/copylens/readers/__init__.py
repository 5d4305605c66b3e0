"""One file per data format. A reader lists the scans of a data set and loads one; nothing else knows file names.

Each module has ``SETTINGS``, what a configuration may say about it (see `copylens.kinds`), and three functions:

- ``list_scans(root, settings)`` -> list of `Scan`, in an order that depends on nothing but the names;
- ``load(root, scan, settings)`` -> `Image`: float32 [H, W] or [D, H, W] in the source's own units, and its spacing;
- ``checksum(root, scan, settings)`` -> SHA-256 of the source, in hexadecimal.
"""

import glob
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Scan:
    """One image of one patient. `source` and `patient` are the hospital's own words: never written to a result."""

    source: str  # what the reader opens: a path below the root, or a phantom's name
    patient: str  # the patient's id as the source gives it
    part: int | None = None  # which slice of a volume, where a data set is made of slices


@dataclass(frozen=True)
class Image:
    """An image as its source holds it."""

    pixels: np.ndarray  # float32, [H, W] or [D, H, W]
    spacing: tuple[float, ...]  # size of a pixel along each axis: mm, or ones where the source doesn't say


def list_files(root: Path, pattern: str, patient: str) -> list[tuple[str, str]]:
    """(path below `root`, patient id) of every file that matches the glob `pattern`, sorted by path.

    Hidden files (`.name`) are left out, links are followed. `patient` is a regular expression whose first group, found
    anywhere in the path, is the patient's id.
    Raises ValueError for a missing or empty folder and for a path that the expression doesn't match.
    """
    if not root.is_dir():
        raise ValueError(f"root: no folder {root}; set COPYLENS_DATA to the folder that holds it")
    matching = glob.glob(pattern, root_dir=root, recursive=True)
    paths = sorted(Path(path).as_posix() for path in matching if (root / path).is_file())
    if not paths:
        raise ValueError(f"root: no file in {root} matches the pattern '{pattern}'")
    found = []
    for path in paths:
        match = re.search(patient, path)
        if match is None or not match.group(1):
            raise ValueError(
                f"patient: the expression '{patient}' doesn't match the file {path}; "
                "it must give every file's patient in its first group"
            )
        found.append((path, match.group(1)))
    return found
