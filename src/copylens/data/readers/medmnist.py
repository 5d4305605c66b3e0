"""MedMNIST: one .npz file with the arrays train_images, val_images and test_images, and labels of the same names.

It has no patient ids: each image counts as a patient of its own.
"""

import glob
import math
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from copylens.data.arrays import UNREADABLE, array_checksum, check_numbers, refuse_pickles
from copylens.data.folders import list_files
from copylens.data.limits import check_bytes, check_pixels, reading
from copylens.data.readers.image_folder import LUMINANCE
from copylens.data.scan import Image, Scan

SETTINGS = """
required: [root, file]
properties:
  root: {type: string}
  # The file's path below the root.
  file: {type: string}
  # The sets to use.
  sets:
    type: array
    items: {enum: [train, val, test]}
    minItems: 1
    uniqueItems: true
    default: [train, val, test]
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per image; `about` may name label, several of one image joined by spaces.

    Raises ValueError if the file is damaged, has pickled contents, lacks an array or has other labels than images.
    """
    (path,) = list_files(root, settings, glob.escape(settings["file"]))
    wanted = settings.get("about", [])
    if set(wanted) - {"label"}:
        raise ValueError(f"about: {path} has nothing but label, not {', '.join(wanted)}")
    scans = []
    for name in settings["sets"]:
        images = _images(root, path, name, settings["limits"])
        labels = _labels(root, path, name, len(images), settings["limits"]) if wanted else [()] * len(images)
        scans += [Scan(f"{path}/{name}", f"{name} {row}", row, about=about) for row, about in enumerate(labels)]
    return scans


def patterns(settings: dict) -> list[str]:
    """Globs of all files that are read."""
    return [glob.escape(settings["file"])]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W] or [D, H, W] as stored; colour becomes luminance."""
    pixels = _stored(root, scan, settings)
    if pixels.ndim == 3 and pixels.shape[-1] == 3:
        pixels = pixels @ np.array(LUMINANCE, dtype=np.float32)
    return Image(np.array(pixels, dtype=np.float32), (1.0,) * pixels.ndim)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the image's type, shape and bytes."""
    return array_checksum(_stored(root, scan, settings))


def _stored(root: Path, scan: Scan, settings: dict) -> np.ndarray:
    images = _images(root, settings["file"], scan.source.rpartition("/")[2], settings["limits"])
    check_pixels(scan.source, images.shape[1:], settings["limits"])
    return images[scan.part]


def _images(root: Path, path: str, name: str, limits: dict) -> np.ndarray:
    """[image, H, W], [image, H, W, 3] or [image, D, H, W]."""
    images = _array(root, path, f"{name}_images", (root / path).stat().st_mtime_ns, tuple(limits.items()))
    check_numbers(images, f"{path}: {name}_images", (3, 4))
    return images


def _labels(root: Path, path: str, name: str, n_images: int, limits: dict) -> list[tuple[str]]:
    labels = _array(root, path, f"{name}_labels", (root / path).stat().st_mtime_ns, tuple(limits.items()))
    check_numbers(labels, f"{path}: {name}_labels", (1, 2))
    if len(labels) != n_images:
        raise ValueError(f"{path}: has {len(labels)} {name}_labels for {n_images} {name}_images")
    return [(" ".join(map(str, np.atleast_1d(label))),) for label in labels]


@lru_cache(maxsize=2)
def _array(root: Path, path: str, name: str, changed: int, limit_pairs: tuple) -> np.ndarray:
    """One array of the file. Cached, because all of it is read for every image; `changed` is the file's time."""
    limits = dict(limit_pairs)
    with reading(path, limits, UNREADABLE.format(".npz file")):
        with zipfile.ZipFile(root / path) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist()]
            if name not in names:
                raise ValueError(f"{path}: has no array {name}; it has {', '.join(names)}")
            _check_member(archive, path, name, limits)
        with refuse_pickles(path), np.load(root / path, allow_pickle=False) as arrays:
            return arrays[name]


def _check_member(archive: zipfile.ZipFile, path: str, name: str, limits: dict) -> None:
    """Raise ValueError if the array, by its size or by its header, is larger than the limits."""
    member = archive.getinfo(f"{name}.npy")
    # No more than this is unpacked, even if more is packed into it.
    check_bytes(path, member.file_size, limits)
    with archive.open(member) as file:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(file)]
        shape, _, dtype = read_header(file)
    check_bytes(path, math.prod(shape) * dtype.itemsize, limits)
