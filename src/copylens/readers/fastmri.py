"""fastMRI (NYU, Meta): one HDF5 file per scan, with the reconstructed images [slice, H, W] in one of its data sets."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from copylens.files import file_checksum
from copylens.readers import Image, Scan, list_files
from copylens.readers.npy_folder import check_numbers
from copylens.volumes import parts, stacked

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.h5"}
  # The HDF5 data set that holds the images.
  images: {type: string, default: reconstruction_rss}
  slices: {$ref: "#/$defs/recorded_slices", default: null}
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per file and slice position. The patient: the attribute patient_id, or the file's name.

    Raises ValueError naming the file if it can't be read as HDF5.
    """
    scans = []
    for path in list_files(root, settings, settings["pattern"]):
        patient = _read(root, path, lambda file: file.attrs.get("patient_id"))
        patient = patient.decode() if isinstance(patient, bytes) else patient
        patient = str(patient).strip() if patient is not None else ""
        scans += [Scan(path, patient or PurePosixPath(path).stem, part) for part in parts(settings["slices"])]
    return scans


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[slice, H, W], or one slice [H, W], as the file has it. Spacing in mm from its header, ones without one.

    Raises ValueError naming the file if it is damaged or lacks the data set settings['images'].
    """
    volume, spacing = _read(root, scan.source, lambda file: _contents(file, scan.source, settings["images"]))
    return stacked(volume, spacing, settings["slices"], scan.part)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _read(root: Path, path: str, get):
    """What `get` finds in the open file; ValueError naming the file if it is damaged."""
    try:
        with h5py.File(root / path, "r") as file:
            return get(file)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path}: can't be read as HDF5; it is damaged, cut short or something else") from error


def _contents(file: h5py.File, path: str, name: str) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The images [slice, H, W], and their spacing."""
    images = file.get(name)
    if not isinstance(images, h5py.Dataset):
        raise ValueError(f"{path}: has no data set {name}; it has {', '.join(file)}. The key images names another")
    if images.file.filename != file.filename or images.is_virtual or images.external:
        raise ValueError(f"{path}: keeps {name} in another file; copy it into this one")
    check_numbers(images, f"{path}: {name}", (3,))
    return images[()], _spacing(file, path)


def _spacing(file: h5py.File, path: str) -> tuple[float, float, float]:
    """Field of view over matrix of the header's reconSpace, in mm. Rows of an image are its x, columns its y."""
    if "ismrmrd_header" not in file:
        return (1.0, 1.0, 1.0)
    try:
        space = ElementTree.fromstring(file["ismrmrd_header"][()]).find(".//{*}reconSpace")
        field, matrix = (
            [float(space.findtext(f"{{*}}{name}/{{*}}{axis}")) for axis in "zxy"]
            for name in ("fieldOfView_mm", "matrixSize")
        )
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its ismrmrd_header has no reconSpace with fieldOfView_mm and matrixSize") from error
    if min(field + matrix) <= 0:
        raise ValueError(f"{path}: its ismrmrd_header has a reconSpace of size 0 or less")
    return tuple(size / count for size, count in zip(field, matrix, strict=True))
