"""NIfTI volumes below one folder, as 3D images or as 2D slices."""

import math
import re
from pathlib import Path, PurePosixPath

import nibabel
from nibabel.openers import Opener

from copylens.data.folders import BIDS_PATIENT, list_files, patients_of
from copylens.data.limits import check_bytes, check_pixels, check_unpacked, reading
from copylens.data.scan import Image, Scan
from copylens.data.volumes import canonical, check_affine, check_axes, head_up, parts
from copylens.jobs.checksums import file_checksum

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.nii*"}
  patient: {$ref: "#/$defs/patient", default: null}
  slices: {$ref: "#/$defs/slices", default: null}
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per file and slice position; the patient by `settings['patient']`.

    Without an expression, the BIDS label `sub-<label>` is the patient where all paths have one. Raises ValueError if
    only some have.
    """
    paths = list_files(root, settings, settings["pattern"])
    if settings["patient"] is None and any(re.search(BIDS_PATIENT, path) for path in paths):
        settings = settings | {"patient": BIDS_PATIENT}
    patients = patients_of(paths, settings)
    return [
        Scan(path, patient, part)
        for path, patient in zip(paths, patients, strict=True)
        for part in parts(settings["slices"])
    ]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """The volume or slice as `copylens.data.volumes.head_up` gives it.

    Raises ValueError if the file is damaged, too large or no volume, or has no orientation in the body.
    """
    path, limits = scan.source, settings["limits"]
    with reading(path, limits, "can't be read as NIfTI; it is damaged, cut short or in colour"):
        _check_compression(root, path, limits)
        stored = nibabel.load(root / path, mmap=False)  # see copylens.data.arrays.values_of
        check_pixels(path, stored.shape, limits)
        check_bytes(path, math.prod(stored.shape) * stored.get_data_dtype().itemsize, limits)
        try:
            check_axes(stored.shape)
            check_affine(stored.affine)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return head_up(*canonical(stored), settings["slices"], scan.part)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _check_compression(root: Path, path: str, limits: dict) -> None:
    """Read a compressed file to its checksum at the end, which nibabel doesn't reach; ValueError if it is too large."""
    if PurePosixPath(path).suffix.lower() in Opener.compress_ext_map:
        with Opener(root / path) as file:
            check_unpacked(path, file, limits)
