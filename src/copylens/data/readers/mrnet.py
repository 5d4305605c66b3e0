"""MRNet (Stanford): knee MR exams as {train,valid}/{axial,coronal,sagittal}/NNNN.npy, and labels beside them.

MRNet has no patient ids: an exam counts as a patient.
"""

from pathlib import Path, PurePosixPath

import numpy as np

from copylens.data.arrays import check_image, read_numbers, values_of
from copylens.data.folders import list_files, read_rows
from copylens.data.scan import Image, Scan
from copylens.data.volumes import index, parts
from copylens.jobs.checksums import file_checksum

SETTINGS = """
required: [root, plane]
properties:
  root: {type: string}
  plane: {enum: [axial, coronal, sagittal]}
  # The folders to use.
  sets:
    type: array
    items: {enum: [train, valid]}
    minItems: 1
    uniqueItems: true
    default: [train, valid]
  slices: {$ref: "#/$defs/recorded_slices", default: null}
"""

LABELS = ("abnormal", "acl", "meniscus")


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per exam, or one per exam and slice position; the patient is the exam's number.

    `about` may name the labels abnormal, acl and meniscus (0 or 1). Raises ValueError for a number that two exams have
    and for an exam without a label.
    """
    # A table of the user's own has its own columns.
    wanted = [] if "table" in settings else settings.get("about", [])
    unknown = [name for name in wanted if name not in LABELS]
    if unknown:
        raise ValueError(f"about: MRNet has no label '{unknown[0]}'; there are {', '.join(LABELS)}")
    scans, numbers = [], set()
    for folder in sorted(settings["sets"]):
        labels = [_read_labels(root, settings, f"{folder}-{name}.csv") for name in wanted]
        for path in list_files(root, settings, f"{folder}/{settings['plane']}/*.npy"):
            number = PurePosixPath(path).stem
            if number in numbers:
                raise ValueError(f"{path}: another exam has the number {number} too")
            numbers.add(number)
            about = tuple(label_of.get(number, "") for label_of in labels)
            if not set(about) <= {"0", "1"}:
                raise ValueError(f"{path}: {folder}-*.csv have no label 0 or 1 of exam {number}")
            scans += [Scan(path, number, part, about=about) for part in parts(settings["slices"])]
    return scans


def patterns(settings: dict) -> list[str]:
    """Globs of all files that are read: exams, and the labels in `about`."""
    exams = [f"{folder}/{settings['plane']}/*.npy" for folder in settings["sets"]]
    return exams + [f"{folder}-{name}.csv" for folder in settings["sets"] for name in settings.get("about", [])]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[slice, H, W], or one slice [H, W], as stored; spacing unknown. ValueError if damaged or too large."""
    volume = read_numbers(root, scan.source, (3,), settings["limits"])
    shape = volume.shape if scan.part is None else volume.shape[1:]
    check_image(scan.source, shape, volume.itemsize, settings["limits"])
    position = None if scan.part is None else index(settings["slices"], scan.part, len(volume))
    pixels = values_of(volume, scan.source, position, settings["limits"])
    return Image(pixels.astype(np.float32), (1.0,) * pixels.ndim)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _read_labels(root: Path, settings: dict, path: str) -> dict[str, str]:
    """Exam -> label, of a file without a header."""
    rows = read_rows(root, settings, path, "about", ["exam", "label"])
    labels = {row["exam"]: row["label"] for row in rows}
    if len(labels) < len(rows):
        raise ValueError(f"{path}: has two rows for one exam")
    return labels
