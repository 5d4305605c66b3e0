"""NIfTI volumes below one folder, as 3D images or as 2D slices."""

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np

from copylens.files import file_checksum
from copylens.readers import Image, Scan, list_files

SETTINGS = """
required: [root, patient, grid, split]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.nii*"}
  patient: {$ref: "#/$defs/expression"}
  # Slices of volumes as 2D images: along which axis (0 left-right, 1 back-front, 2 feet-head), how far along it (0-1).
  slices:
    type: [object, "null"]
    default: null
    additionalProperties: false
    required: [axis, positions]
    properties:
      axis: {type: integer, minimum: 0, maximum: 2}
      positions: {type: array, items: {$ref: "#/$defs/share"}, minItems: 1, uniqueItems: true}
  grid: {$ref: "#/$defs/grid"}
  fit: {$ref: "#/$defs/fit", default: pad}
  scaling: {$ref: "#/$defs/scaling", default: {}}
  split: {$ref: "#/$defs/split"}
  planted: {$ref: "#/$defs/planted", default: {}}
  duplicates: {$ref: "#/$defs/duplicates", default: null}
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per file and slice position; the patient by `settings['patient']`."""
    positions = settings["slices"]["positions"] if settings["slices"] else [None]
    files = list_files(root, settings["pattern"], settings["patient"])
    parts = [None] if positions == [None] else range(len(positions))
    return [Scan(source, patient, part) for source, patient in files for part in parts]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """Volume [D, H, W] feet to head, front to back, left to right; or one slice [H, W]. Spacing in the file's unit.

    The volume is turned to the closest canonical orientation first, so that the same part of the body lies the same
    way in every image. Raises ValueError if the file is damaged or isn't a volume.
    """
    try:
        _check_compression(root / scan.source)
        image = nibabel.as_closest_canonical(nibabel.load(root / scan.source))
        volume = np.asarray(image.dataobj, dtype=np.float32)
        spacing = tuple(map(float, image.header.get_zooms()[:3]))
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise ValueError(f"{scan.source}: can't be read as NIfTI; it is damaged, cut short or in colour") from error
    if volume.ndim == 4 and volume.shape[3] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3:
        raise ValueError(f"{scan.source}: has {volume.ndim} axes {volume.shape}; a volume with 3 is needed")
    if scan.part is not None:
        axis, position = settings["slices"]["axis"], settings["slices"]["positions"][scan.part]
        plane = np.take(volume, round(position * (volume.shape[axis] - 1)), axis=axis)
        # The remaining axes point right or to the front, then to the front or the head: up is the second one.
        in_plane = spacing[:axis] + spacing[axis + 1 :]
        return Image(np.ascontiguousarray(plane.T[::-1]), in_plane[::-1])
    return Image(np.ascontiguousarray(volume.transpose(2, 1, 0)[:, ::-1]), spacing[::-1])


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _check_compression(path: Path) -> None:
    """Read a .gz file to its end, where its checksum is; nibabel stops before it."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            while file.read(2**20):
                pass
