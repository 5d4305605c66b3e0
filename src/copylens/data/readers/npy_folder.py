"""NumPy files below one folder: each one image, or each a stack of images."""

from pathlib import Path

import numpy as np

from copylens.data.arrays import array_checksum, check_image, read_numbers, values_of
from copylens.data.folders import list_files, patients_of
from copylens.data.scan import Image, Scan

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.npy"}
  patient: {$ref: "#/$defs/patient", default: null}
  # Whether each file's first axis counts images.
  stacked: {type: boolean, default: false}
  # Size of a pixel along each axis of an image, in mm; null where it isn't known.
  spacing: {oneOf: [{type: "null"}, {$ref: "#/$defs/spacing"}], default: null}
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per image of each; the patient by `settings['patient']`."""
    paths = list_files(root, settings, settings["pattern"])
    scans = []
    for path, patient in zip(paths, patients_of(paths, settings), strict=True):
        parts = range(len(read_numbers(root, path, (3, 4), settings["limits"]))) if settings["stacked"] else [None]
        scans += [Scan(path, patient, part) for part in parts]
    return scans


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W] or [D, H, W] as stored; ValueError naming the file if it can't be read or has other axes."""
    pixels = _stored(root, scan, settings["limits"]).astype(np.float32, copy=False)
    spacing = tuple(settings["spacing"] or (1.0,) * pixels.ndim)
    if len(spacing) != pixels.ndim:
        raise ValueError(f"spacing: has {len(spacing)} sizes, but {scan.source} has images of {pixels.ndim} axes")
    return Image(pixels, spacing)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the image's type, shape and bytes."""
    return array_checksum(_stored(root, scan, settings["limits"]))


def _stored(root: Path, scan: Scan, limits: dict) -> np.ndarray:
    array = read_numbers(root, scan.source, (2, 3) if scan.part is None else (3, 4), limits)
    check_image(scan.source, array.shape[0 if scan.part is None else 1 :], array.itemsize, limits)
    return values_of(array, scan.source, scan.part, limits)
