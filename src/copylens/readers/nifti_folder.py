"""NIfTI volumes below one folder, as 3D images or as 2D slices."""

import gzip
import re
import zlib
from pathlib import Path

import nibabel

from copylens.files import file_checksum
from copylens.readers import BIDS_PATIENT, Image, Scan, list_files, patients_of
from copylens.volumes import canonical, head_up, parts

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
    """The volume or slice as `copylens.volumes.head_up` gives it; ValueError if the file is damaged or no volume."""
    try:
        _check_compression(root / scan.source)
        volume, spacing = canonical(nibabel.load(root / scan.source))
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise ValueError(f"{scan.source}: can't be read as NIfTI; it is damaged, cut short or in colour") from error
    try:
        return head_up(volume, spacing, settings["slices"], scan.part)
    except ValueError as error:
        raise ValueError(f"{scan.source}: {error}") from error


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _check_compression(path: Path) -> None:
    """Read a .gz file to its end, where its checksum is; nibabel stops before it."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            while file.read(2**20):
                pass
