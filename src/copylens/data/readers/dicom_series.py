"""DICOM files below one folder, each series a volume, or a 2D image where it is a single one (CR, DX, a localizer)."""

import hashlib
import math
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath

import nibabel
import numpy as np
import PIL.Image
import pydicom
from pydicom.pixels import apply_modality_lut, get_decoder, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, UncompressedTransferSyntaxes

from copylens.data.folders import list_files
from copylens.data.limits import check_bytes, check_inflated, check_pixels, reading
from copylens.data.scan import Image, Scan
from copylens.data.volumes import canonical, check_affine, head_up, parts
from copylens.jobs.checksums import file_checksum

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*"}
  # The DICOM keyword of the header's field with the patient's id.
  patient_tag: {type: string, default: PatientID}
  slices: {$ref: "#/$defs/slices", default: null}
"""

# A warning about a wrong value would write it, perhaps somebody's name, into the log.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

UNREADABLE = "can't be read as DICOM; it is damaged, cut short or something else, which pattern can leave out"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PLACE = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "ImagerPixelSpacing")
TOLERANCE_MM = 0.001  # two slices that are nearer share a place
UNEVEN = 0.05  # how far distances between slices may differ, as a share of their median


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per series, or per series and slice position; one per file of a series that has no positions in space.

    A series is named by its folder's path if it is the only one there, else, and in the root itself, by its first
    file's. Raises ValueError for a file that isn't DICOM, and for a series without a patient or with two.
    """
    _series.cache_clear()
    if pydicom.datadict.tag_for_keyword(settings["patient_tag"]) is None:
        raise ValueError(f"patient_tag: '{settings['patient_tag']}' is no DICOM keyword; PatientID is one")
    scans = []
    for source, (paths, patients) in _series_of(root, settings).items():
        if len(patients) > 1:
            raise ValueError(f"{source}: one series with {len(patients)} different {settings['patient_tag']}")
        if patients == {""} and "table" not in settings:
            raise ValueError(
                f"{source}: its {settings['patient_tag']} is missing or empty; name another patient_tag, or a table"
            )
        (patient,) = patients
        scans += [Scan(source, patient, part) for part in (parts(settings["slices"]) if len(paths) > 1 else [None])]
    return scans


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """Volume or slice as `copylens.data.volumes.head_up` gives it, or a single image [H, W] as stored; spacing in
    mm.

    Values are the modality's own (HU for CT), MONOCHROME1 is inverted. Slices are ordered by their position along the
    normal of their plane. Raises ValueError for pixels that are missing, damaged, in colour or compressed in a way that
    can't be decoded here, for more pixels than the limits, and for a series whose slices differ in shape, orientation
    or spacing, share a place or are unevenly spaced.
    """
    paths, _ = _series_of(root, settings)[scan.source]
    if len(paths) == 1:
        header, pixels = _read(root, paths[0], 1, settings["limits"])
        spacings = (_numbers(header, keyword, 2) for keyword in ("PixelSpacing", "ImagerPixelSpacing"))
        return Image(pixels, tuple(next((spacing for spacing in spacings if spacing and min(spacing) > 0), (1.0, 1.0))))
    slices = [_read(root, path, len(paths), settings["limits"]) for path in paths]
    values, affine = _stack(scan.source, paths, slices)
    del slices
    with reading(scan.source, settings["limits"], "its slices' positions and spacings make no volume; correct them"):
        check_affine(affine)
        return head_up(*canonical(nibabel.Nifti1Image(values, affine)), settings["slices"], scan.part)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the checksums of the series' files, independent of their names."""
    paths, _ = _series_of(root, settings)[scan.source]
    return hashlib.sha256("".join(sorted(file_checksum(root / path) for path in paths)).encode()).hexdigest()


def files(root: Path, scan: Scan, settings: dict) -> list[str]:
    """Paths of the series' files."""
    return _series_of(root, settings)[scan.source][0]


def _series_of(root: Path, settings: dict) -> dict[str, tuple[list[str], set[str]]]:
    shared = {key: settings[key] for key in ("table", "outside_links") if key in settings}
    shared["limits"] = tuple(settings["limits"].items())
    return _series(root, settings["pattern"], settings["patient_tag"], tuple(shared.items()))


@lru_cache(maxsize=1)
def _series(root: Path, pattern: str, patient_tag: str, shared: tuple) -> dict[str, tuple[list[str], set[str]]]:
    """Source -> (paths, patients) of each series. Every file's header is read, once for all of them."""
    grouped, folders = defaultdict(list), defaultdict(set)
    tags = ["SeriesInstanceUID", "ImagePositionPatient", patient_tag]
    limits = dict(dict(shared)["limits"])
    for path in list_files(root, dict(shared), pattern):
        if PurePosixPath(path).name == "DICOMDIR":
            continue
        with reading(path, limits, UNREADABLE):
            header = _open(root, path, limits, stop_before_pixels=True, specific_tags=tags)
            series, placed = header.get("SeriesInstanceUID"), "ImagePositionPatient" in header
            if not series:
                raise ValueError(f"{path}: has no SeriesInstanceUID; it is damaged, or belongs to no series")
            series, patient = str(series), str(header.get(patient_tag, "")).strip()
        # Images without a position, such as X-rays from two sides, make no volume.
        grouped[series if placed else path].append((path, patient))
        folders[PurePosixPath(path).parent].add(series if placed else path)
    named = {}
    for files in grouped.values():
        paths, patients = [path for path, _ in files], {patient for _, patient in files}
        parents = {PurePosixPath(path).parent for path in paths}
        alone = len(parents) == 1 and len(folders[next(iter(parents))]) == 1 and len(paths) > 1
        below = alone and parents != {PurePosixPath(".")}
        named[str(parents.pop()) if below else paths[0]] = (paths, patients)
    return dict(sorted(named.items()))


def _open(root: Path, path: str, limits: dict, **options) -> pydicom.Dataset:
    check_bytes(path, (root / path).stat().st_size, limits)
    with (root / path).open("rb") as file:
        _check_deflated(file, path, limits)
        return pydicom.dcmread(file, **options)


def _check_deflated(file, path: str, limits: dict) -> None:
    """Raise ValueError for a file that is compressed as a whole and would unpack to more than the limits."""
    pydicom.filereader.read_preamble(file, force=False)
    meta = pydicom.filereader._read_file_meta_info(file)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        check_inflated(path, file, -zlib.MAX_WBITS, limits)
    file.seek(0)


def _read(root: Path, path: str, n_files: int, limits: dict) -> tuple[pydicom.Dataset, np.ndarray]:
    """Position of the image in one of a series' files, and its pixels [H, W] float32 in the modality's units."""
    with reading(path, limits, UNREADABLE):
        dataset = _open(root, path, limits)
        _check_header(dataset, path, n_files, limits)
    with reading(path, limits, "its pixels can't be read; they are damaged or cut short"):
        with _pillow_reads(dataset.Rows * dataset.Columns):
            stored = pixel_array(dataset)
        for keyword in PIXELS:
            dataset.pop(keyword, None)
        # The other fields, perhaps large, would be kept until the series' last slice is read.
        header = pydicom.Dataset()
        for keyword in filter(dataset.__contains__, PLACE):
            header[keyword] = dataset.get_item(keyword)
        pixels = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            signed, bits = dataset.get("PixelRepresentation", 0), dataset.BitsStored
            ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], stored.dtype)
            pixels = np.float32(apply_modality_lut(ends, dataset).sum()) - pixels
        if pixels.ndim != 2:
            raise ValueError(f"{path}: has pixels of {pixels.ndim} axes {pixels.shape}; 2 are needed")
        return header, pixels


def _check_header(dataset: pydicom.Dataset, path: str, n_files: int, limits: dict) -> None:
    """Raise ValueError for pixels that aren't supported, or are more than the limits."""
    if not any(keyword in dataset for keyword in PIXELS):
        raise ValueError(f"{path}: has no pixels; it is damaged, or something else, which pattern can leave out")
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise ValueError(f"{path}: is in colour ({dataset.PhotometricInterpretation}); grey values are needed")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"{path}: holds {dataset.NumberOfFrames} frames; split it into files of one slice each")
    _check_compression(dataset, path)
    shape = [n_files, int(dataset.Rows), int(dataset.Columns)]
    description = "holds an image" if n_files == 1 else "belongs to a series"
    check_pixels(path, shape if n_files > 1 else shape[1:], limits, description)
    check_bytes(path, math.prod(shape) * int(dataset.BitsAllocated) // 8, limits)


@contextmanager
def _pillow_reads(pixels: int) -> Iterator[None]:
    """Refuse a JPEG that is larger than the header's `pixels`; Pillow would only warn."""
    before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, pixels
    try:
        with warnings.catch_warnings(action="error", category=PIL.Image.DecompressionBombWarning):
            yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


def _check_compression(dataset: pydicom.Dataset, path: str) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or syntax in UncompressedTransferSyntaxes:
        return
    try:
        able = get_decoder(syntax).is_available
    except NotImplementedError:
        able = False
    if not able:
        raise ValueError(
            f"{path}: is compressed as {syntax.name}, which can't be decoded here; decompress it first, for example "
            "with 'gdcmconv --raw in.dcm out.dcm'"
        )


def _numbers(header: pydicom.Dataset, keyword: str, count: int) -> list[float] | None:
    """The `count` numbers of a header's field; None if it holds others or none."""
    try:
        values = np.atleast_1d(np.array(header.get(keyword) or (), dtype=float)).tolist()
    except Exception:  # pydicom's errors over damaged values are of many kinds
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _stack(source: str, paths: list[str], slices: list[tuple[pydicom.Dataset, np.ndarray]]):
    """Values [column, row, slice] of a series, and their place in the body: a NIfTI affine, right, front, head."""
    fields = {"ImageOrientationPatient": 6, "ImagePositionPatient": 3, "PixelSpacing": 2}
    by_keyword = {keyword: [_numbers(header, keyword, n) for header, _ in slices] for keyword, n in fields.items()}
    for keyword, numbers in by_keyword.items():
        if None in numbers:
            path = paths[numbers.index(None)]
            raise ValueError(f"{path}: has no usable {keyword}, but its series has {len(paths)} images")
    shapes = {pixels.shape for _, pixels in slices}
    orientations, positions, spacings = map(np.array, by_keyword.values())
    if spacings.min() <= 0:
        raise ValueError(f"{source}: has a PixelSpacing of {spacings.min():g} mm")
    for trait, differs in (
        ("shapes", len(shapes) > 1),
        ("orientations", np.ptp(orientations, axis=0).max() > 0.001),
        ("pixel spacings", np.ptp(spacings, axis=0).max() > 0.001),
    ):
        if differs:
            raise ValueError(f"{source}: one series with slices of different {trait}; leave the odd ones out")
    along_row, along_column = orientations[0, :3], orientations[0, 3:]
    height = positions @ np.cross(along_row, along_column)
    order = np.argsort(height)
    distances = np.diff(height[order])
    if distances.min() < TOLERANCE_MM:
        two = " and ".join(paths[order[distances.argmin() + step]] for step in (0, 1))
        raise ValueError(f"{source}: {two} lie at the same place; one series must have each slice once")
    usual = np.median(distances)
    odd = np.abs(distances - usual).argmax()
    if abs(distances[odd] - usual) > UNEVEN * usual:
        raise ValueError(
            f"{source}: slices are {usual:g} mm apart, but {distances[odd]:g} mm between {paths[order[odd]]} and "
            f"{paths[order[odd + 1]]}; is one missing?"
        )
    affine = np.eye(4)
    affine[:3, 0] = along_row * spacings[0, 1]
    affine[:3, 1] = along_column * spacings[0, 0]
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    affine[:3, 3] = positions[order[0]]
    # DICOM's axes point left and back, NIfTI's right and front.
    values = np.stack([slices[number][1] for number in order]).transpose(2, 1, 0)
    return values, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
