"""fastMRI (NYU, Meta): one HDF5 file per scan, with the reconstructed images [slice, H, W] in one of its data sets."""

import io
import math
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from copylens.data.arrays import check_numbers
from copylens.data.folders import list_files
from copylens.data.limits import check_bytes, check_inflated, check_pixels, reading_apart
from copylens.data.scan import Image, Scan
from copylens.data.volumes import parts, stacked
from copylens.jobs.checksums import file_checksum

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.h5"}
  # The HDF5 data set that holds the images.
  images: {type: string, default: reconstruction_rss}
  slices: {$ref: "#/$defs/recorded_slices", default: null}
"""


MOST_PACKED = 1032  # bytes that gzip unpacks one byte to, at most (zlib.net/zlib_tech.html)
MOST_CHUNKS = 10**6  # each is looked for, whether or not the file has it


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file, or one per file and slice position. The patient: the attribute patient_id, or the file's name.

    Raises ValueError naming the file if it can't be read as HDF5.
    """
    scans = []
    for path in list_files(root, settings, settings["pattern"]):
        patient = _read(root, path, settings["limits"], _patient)
        scans += [Scan(path, patient or PurePosixPath(path).stem, part) for part in parts(settings["slices"])]
    return scans


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[slice, H, W], or one slice [H, W], as stored. Spacing in mm from its header, ones without one.

    Raises ValueError naming the file if it is damaged, too large, or lacks the data set settings['images'].
    """

    def get(file: h5py.File) -> Image:
        volume, spacing = _contents(file, scan.source, settings["images"], settings["limits"])
        return stacked(volume, spacing, settings["slices"], scan.part)

    return _read(root, scan.source, settings["limits"], get)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _read(root: Path, path: str, limits: dict, get):
    """The result of `get` on the open file; ValueError naming the file if it is damaged.

    Some damaged files keep HDF5 busy for ever.
    """

    def read():
        with h5py.File(root / path, "r") as file:
            return get(file)

    return reading_apart(path, limits, "can't be read as HDF5; it is damaged, cut short or something else", read)


def _patient(file: h5py.File) -> str:
    """The file's patient_id, empty where it has none."""
    patient = file.attrs.get("patient_id", "")
    return (patient.decode() if isinstance(patient, bytes) else str(patient)).strip()


def _contents(file: h5py.File, path: str, name: str, limits: dict) -> tuple[np.ndarray, tuple[float, ...]]:
    """The images [slice, H, W], and their spacing."""
    images = file.get(name)
    if not isinstance(images, h5py.Dataset):
        raise ValueError(f"{path}: has no data set {name}; it has {', '.join(file)}. The key images names another")
    if images.file.filename != file.filename or images.is_virtual or images.external:
        raise ValueError(f"{path}: keeps {name} in another file; copy it into this one")
    check_numbers(images, f"{path}: {name}", (3,))
    _check_size(images, path, limits)
    return images[()], _spacing(file, path, limits)


def _check_size(images: h5py.Dataset, path: str, limits: dict) -> None:
    """Raise ValueError if the images, or their unpacked blocks, are larger than the limits."""
    check_pixels(path, images.shape, limits)
    check_bytes(path, images.size * images.dtype.itemsize, limits)
    if images.chunks is None:
        return
    block = math.prod(images.chunks) * images.dtype.itemsize
    check_bytes(path, block, limits)
    n_blocks = math.prod(-(-size // part) for size, part in zip(images.shape, images.chunks, strict=True))
    if n_blocks > MOST_CHUNKS:
        raise ValueError(f"{path}: keeps its images in {n_blocks} blocks; {MOST_CHUNKS} are the most that are read")
    # HDF5 unpacks a block to its end, even beyond the block's own size.
    if images.compression == "gzip":
        for number in range(images.id.get_num_chunks()):
            place = images.id.get_chunk_info(number)
            if place.size * MOST_PACKED > limits["bytes"]:
                packed = images.id.read_direct_chunk(place.chunk_offset)[1]
                check_inflated(path, io.BytesIO(packed), zlib.MAX_WBITS, limits)


def _spacing(file: h5py.File, path: str, limits: dict) -> tuple[float, ...]:
    """Field of view over matrix of the header's reconSpace, in mm. Rows of an image are its x, columns its y."""
    if "ismrmrd_header" not in file:
        return (1.0, 1.0, 1.0)
    header = file["ismrmrd_header"]
    if not isinstance(header, h5py.Dataset) or header.shape != () or header.is_virtual or header.external:
        raise ValueError(f"{path}: its ismrmrd_header is no text")
    check_bytes(path, header.dtype.itemsize, limits)
    try:
        space = next(ElementTree.fromstring(header[()]).iterfind(".//{*}reconSpace"))
        field, matrix = (
            [float(space.findtext(f"{{*}}{name}/{{*}}{axis}", "")) for axis in "zxy"]
            for name in ("fieldOfView_mm", "matrixSize")
        )
    except (ElementTree.ParseError, StopIteration, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its ismrmrd_header has no reconSpace with fieldOfView_mm and matrixSize") from error
    if not min(field + matrix) > 0:
        raise ValueError(f"{path}: its ismrmrd_header has a reconSpace of size 0 or less")
    return tuple(size / count for size, count in zip(field, matrix, strict=True))
