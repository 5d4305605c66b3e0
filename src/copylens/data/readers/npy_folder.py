"""NumPy files below one folder: each one image, or each a stack of images."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from copylens.data.folders import list_files, patients_of
from copylens.data.limits import check_bytes, check_pixels, reading
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

UNREADABLE = "can't be read as a {}; it is damaged, cut short or something else"


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per image of each; the patient by `settings['patient']`."""
    paths = list_files(root, settings, settings["pattern"])
    scans = []
    for path, patient in zip(paths, patients_of(paths, settings), strict=True):
        parts = range(len(read_numbers(root, path, (3, 4), settings["limits"]))) if settings["stacked"] else [None]
        scans += [Scan(path, patient, part) for part in parts]
    return scans


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W] or [D, H, W] as the file has it; ValueError naming the file if it can't be read or has other axes."""
    pixels = np.array(_stored(root, scan, settings["limits"]), dtype=np.float32)
    spacing = tuple(settings["spacing"] or (1.0,) * pixels.ndim)
    if len(spacing) != pixels.ndim:
        raise ValueError(f"spacing: has {len(spacing)} sizes, but {scan.source} has images of {pixels.ndim} axes")
    return Image(pixels, spacing)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the image's type, shape and bytes."""
    return array_checksum(_stored(root, scan, settings["limits"]))


def array_checksum(array: np.ndarray) -> str:
    """SHA-256 of an array's type, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def read_numbers(root: Path, path: str, axes: tuple[int, ...], limits: dict) -> np.ndarray:
    """The array of a .npy file, memory-mapped.

    Raises ValueError naming the file if it is damaged or pickled, or holds something else than numbers along so many
    `axes`.
    """
    with reading(path, limits, UNREADABLE.format(".npy file")):
        with refuse_pickles(path):
            array = np.load(root / path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path}: holds several arrays, like a .npz file; a .npy file with one is needed")
        check_numbers(array, path, axes)
        return array


@contextmanager
def refuse_pickles(path: str) -> Iterator[None]:
    """Say so where NumPy refuses the pickled objects of a file."""
    try:
        yield
    except ValueError as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise
        raise ValueError(
            f"{path}: holds pickled objects, which could run any code and are never loaded; save it as an array of "
            "numbers"
        ) from error


def check_numbers(array: np.ndarray, name: str, axes: tuple[int, ...]) -> None:
    """Raise ValueError unless `array` holds numbers along so many `axes`, and has any."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name}: holds {array.dtype}; whole or decimal numbers are needed")
    if array.ndim not in axes:
        raise ValueError(f"{name}: has {array.ndim} axes {array.shape}; {' or '.join(map(str, axes))} are needed")
    if not array.size:
        raise ValueError(f"{name}: is empty, of shape {array.shape}")


def check_image(name: str, shape: tuple[int, ...], itemsize: int, limits: dict) -> None:
    """Raise ValueError if an image of that shape is larger than the limits."""
    check_pixels(name, shape, limits)
    check_bytes(name, math.prod(shape) * itemsize, limits)


def _stored(root: Path, scan: Scan, limits: dict) -> np.ndarray:
    array = read_numbers(root, scan.source, (2, 3) if scan.part is None else (3, 4), limits)
    image = array if scan.part is None else array[scan.part]
    check_image(scan.source, image.shape, image.itemsize, limits)
    return image
