"""Files that somebody made to do harm, or that ask for the most that is allowed; and what is said of them."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless
from reader_examples import listing, pictures, save_fastmri, save_images, save_mrnet, save_nih, save_slice
from reader_mutations import png_chunk

BOMB = 600_000_000  # bytes, and limits.bytes is 512 million


@dataclass(frozen=True)
class Hostile:
    """A data set with one such file."""

    reader: str
    write: Callable[[Path], None]
    says: str  # what the refusal begins with; empty where the file is read
    settings: dict = field(default_factory=dict)
    slow: bool = False  # takes seconds to write and read


def write_hostile(raw: Path, name: str) -> dict:
    """Write the data set of that name into an empty folder; the settings to list it with."""
    HOSTILE[name].write(raw)
    return listing(HOSTILE[name].reader, **HOSTILE[name].settings)


def _deflated_zeros(size: int, wbits: int = 15) -> bytes:
    packer = zlib.compressobj(1, wbits=wbits)
    block = bytes(2**20)
    packed = [packer.compress(block[: min(2**20, size - first)]) for first in range(0, size, 2**20)]
    return b"".join([*packed, packer.flush()])


def _png(height: int, width: int, rows: int | None = None) -> Callable[[Path], None]:
    """A grey PNG whose header says so many pixels, of which it has so many `rows` (two of them aren't black)."""

    def write(raw: Path) -> None:
        first = (b"\0" + bytes(range(1, 256)) * (width // 255) + bytes(width % 255)) * 2
        packer = zlib.compressobj(1)
        data = packer.compress(first)
        for _ in range((height if rows is None else rows) - 2):
            data += packer.compress(bytes(width + 1))
        header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        data = png_chunk(b"IDAT", data + packer.flush()) + png_chunk(b"IEND", b"")
        (raw / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)

    return write


def _tiff_without_size(raw: Path) -> None:
    """No ImageWidth: its tag has become a private one."""
    buffer = io.BytesIO()
    Image.fromarray(pictures(2)[0]).save(buffer, "TIFF")
    (raw / "a.tif").write_bytes(buffer.getvalue().replace(struct.pack("<HH", 256, 4), struct.pack("<HH", 65000, 4)))


def _big_tiff(raw: Path) -> None:
    image = np.zeros((8000, 8000), np.uint8)
    image[::2] = 7
    Image.fromarray(image).save(raw / "a.tif", compression="tiff_adobe_deflate")


def _hdf5(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def write(raw: Path) -> None:
        with h5py.File(raw / "a.h5", "w") as file:
            change(file)

    return write


def _damaged_link(raw: Path) -> None:
    """The name of a group's member is gone from its heap."""
    save_fastmri(raw, ["a"], pictures(3)[:1])
    data = (raw / "a.h5").read_bytes()
    (raw / "a.h5").write_bytes(data.replace(b"reconstruction_rss", b"\0" * 18).replace(b"SNOD", b"SNOX"))


def _packed_block(file: h5py.File) -> None:
    """A block of 16 bytes that unpacks to 600 MB."""
    images = file.create_dataset("reconstruction_rss", (1, 4, 4), "u1", chunks=(1, 4, 4), compression="gzip")
    images.id.write_direct_chunk((0, 0, 0), _deflated_zeros(BOMB))


def _many_blocks(file: h5py.File) -> None:
    file.create_dataset("reconstruction_rss", (1, 7000, 7000), "u1", chunks=(1, 1, 1))


def _full_hdf5(file: h5py.File) -> None:
    images = file.create_dataset("reconstruction_rss", (400, 400, 400), "f8", chunks=(50, 400, 400), compression="gzip")
    images[:, 1] = 7.5


def _npy(header: str, after: bytes = b"") -> Callable[[Path], None]:
    def write(raw: Path) -> None:
        (raw / "a.npy").write_bytes(_npy_header(header) + after)

    return write


def _npy_header(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _sparse_npy(raw: Path) -> None:
    image = np.lib.format.open_memmap(raw / "a.npy", mode="w+", dtype=np.float64, shape=(8000, 8000))
    image[:5] = 1.5


def _npz(member: bytes, method: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def write(raw: Path) -> None:
        with zipfile.ZipFile(raw / "0001.npz", "w", method) as archive:
            archive.writestr("train_images.npy", member)

    return write


def _npz_fields(flags: int, method: int) -> Callable[[Path], None]:
    """An archive that says of itself that it is encrypted, or packed by an unknown method."""

    def write(raw: Path) -> None:
        _npz(_npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 4)}") + bytes(range(32)))(raw)
        data = bytearray((raw / "0001.npz").read_bytes())
        for begin, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            struct.pack_into("<HH", data, data.index(begin) + place, flags, method)
        (raw / "0001.npz").write_bytes(data)

    return write


def _npz_of(size: int) -> Callable[[Path], None]:
    """An array of zeros of so many bytes but for its first image, packed to a thousandth."""

    def write(raw: Path) -> None:
        side = int((size // 2) ** 0.5)
        archive = zipfile.ZipFile(raw / "0001.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        with archive, archive.open("train_images.npy", "w", force_zip64=True) as file:
            file.write(_npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': (2, {side}, {side})}}"))
            for row in range(2 * side):
                file.write(b"\1" + bytes(side - 1) if row % 3 == 0 else bytes(side))

    return write


def _volume(suffix: str = ".nii", affine=None, **fields) -> Callable[[Path], None]:
    """A small volume with other `fields` in its header, written past nibabel, which would refuse some."""

    def write(raw: Path) -> None:
        image = nibabel.Nifti1Image(pictures(3)[0].astype(np.int16), np.eye(4))
        buffer = io.BytesIO()
        image.to_file_map({"image": nibabel.FileHolder(fileobj=buffer)})
        data = bytearray(buffer.getvalue())
        if affine is not None:
            struct.pack_into("<12f", data, 280, *np.asarray(affine, dtype=float)[:3].ravel())
        places = {"dim": (40, "<8h"), "pixdim": (76, "<8f"), "vox_offset": (108, "<f")}
        for name, values in fields.items():
            struct.pack_into(places[name][1], data, places[name][0], *values)
        (raw / f"a{suffix}").write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)

    return write


def _gzip_bomb(raw: Path) -> None:
    _volume()(raw)
    header = (raw / "a.nii").read_bytes()
    (raw / "a.nii").unlink()
    (raw / "a.nii.gz").write_bytes(gzip.compress(header) + _deflated_zeros(BOMB, wbits=31))


def _full_volume(raw: Path) -> None:
    values = np.zeros((400, 400, 399), np.float64)
    values[:, 3] = 7.5
    with gzip.open(raw / "a.nii.gz", "wb", compresslevel=1) as file:
        nibabel.Nifti1Image(values, np.eye(4)).to_file_map({"image": nibabel.FileHolder(fileobj=file)})


def _slice(pixels: np.ndarray | None = None, change=None, **fields) -> Callable[[Path], None]:
    def write(raw: Path) -> None:
        save_slice(raw / "a.dcm", pictures(2)[0] if pixels is None else pixels, **fields)
        if change is not None:
            dataset = pydicom.dcmread(raw / "a.dcm")
            change(dataset)
            dataset.save_as(raw / "a.dcm")

    return write


def _other_jpeg(dataset: pydicom.Dataset) -> None:
    """A JPEG of 100 million pixels in the header of one of 120."""
    buffer = io.BytesIO()
    Image.new("L", (10000, 10000)).save(buffer, "JPEG")
    dataset.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit


def _run_lengths(dataset: pydicom.Dataset) -> None:
    """4 billion pixels by header, a few bytes by file."""
    dataset.compress(RLELossless)
    dataset.Rows = dataset.Columns = 65535


def _deflated_dicom(raw: Path) -> None:
    save_slice(raw / "a.dcm", pictures(2)[0])
    dataset = pydicom.dcmread(raw / "a.dcm")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(raw / "a.dcm")
    header = pydicom.dcmread(raw / "a.dcm", stop_before_pixels=True)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, pydicom.Dataset(), implicit_vr=False, little_endian=True, force_encoding=True)
    meta = io.BytesIO()
    meta.write(b"\0" * 128 + b"DICM")
    pydicom.filewriter.write_file_meta_info(pydicom.filebase.DicomFileLike(meta), header.file_meta, False)
    (raw / "a.dcm").write_bytes(meta.getvalue() + _deflated_zeros(BOMB, wbits=-15))


def _full_slice(raw: Path) -> None:
    pixels = np.zeros((8000, 8000), np.uint16)
    pixels[::2] = 7
    save_slice(raw / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-1024)


def _root_series(raw: Path) -> None:
    """A whole series that lies in the root, of slices at one place."""
    for name in ("a", "b"):
        save_slice(raw / f"{name}.dcm", pictures(2)[0])


def _table(text: bytes) -> Callable[[Path], None]:
    def write(raw: Path) -> None:
        save_images(raw, ["a"], pictures(2)[:1])
        (raw / "patients.csv").write_bytes(text)

    return write


def _null_labels(raw: Path) -> None:
    save_mrnet(raw, ["0001", "0002", "0003", "0004"], pictures(3))
    (raw / "train-acl.csv").write_bytes(b"0001,1\n0002,\0\n0003,1\n")


def _null_entries(raw: Path) -> None:
    save_nih(raw, ["0001", "0002"], pictures(2)[:2])
    (raw / "Data_Entry_2017.csv").write_bytes(b"Image Index,Patient ID\n0001.png,\0\n")


def _a_name(raw: Path) -> None:
    save_images(raw, ["a" * 40 + "!"], pictures(2)[:1])


_ANY = {"patient": None}
_TABLE = _ANY | {"table": "patients.csv"}
_TRAIN = {"sets": ["train"]}
HOSTILE = {
    # Images
    "pillow_error": Hostile("image_folder", _png(20000, 10000, 0), "a.png: holds an image of 20000x10000 pix", _ANY),
    "pillow_warning": Hostile("image_folder", _png(10000, 10000, 0), "a.png: holds an image of 10000x10000 pix", _ANY),
    "png_bomb": Hostile("image_folder", _png(9000, 9000), "a.png: holds an image of 9000x9000", _ANY, slow=True),
    "largest_png": Hostile("image_folder", _png(8000, 8000), "", _ANY, slow=True),
    "largest_tiff": Hostile("image_folder", _big_tiff, "", _ANY, slow=True),
    "tiff_without_size": Hostile("image_folder", _tiff_without_size, "a.tif: can't be read as an image; a whole", _ANY),
    # HDF5
    "hdf5_key_error": Hostile("fastmri", _damaged_link, "a.h5: "),
    "hdf5_fill_value": Hostile(
        "fastmri",
        _hdf5(lambda file: file.create_dataset("reconstruction_rss", (1000, 10**4, 10**4), "f8", fillvalue=1.0)),
        "a.h5: holds an image of 1000x10000x10000 pixels, which is more than limits.pixels",
    ),
    "hdf5_packed_block": Hostile("fastmri", _hdf5(_packed_block), "a.h5: would take 5", slow=True),
    "hdf5_many_blocks": Hostile("fastmri", _hdf5(_many_blocks), "a.h5: keeps its images in 49000000 blocks"),
    "largest_hdf5": Hostile("fastmri", _hdf5(_full_hdf5), "", slow=True),
    # NumPy
    "npy_token_error": Hostile(
        "npy_folder", _npy("{'descr': '|u1', 'shape': ((2, 4"), "a.npy: can't be read as a .npy", _ANY
    ),
    "npy_shape": Hostile(
        "npy_folder", _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999)}"), "a.npy: can't be", _ANY
    ),
    "largest_npy": Hostile("npy_folder", _sparse_npy, "", _ANY, slow=True),
    "npz_not_implemented": Hostile("medmnist", _npz_fields(0, 99), "0001.npz: can't be read as a .npz file", _TRAIN),
    "npz_encrypted": Hostile("medmnist", _npz_fields(1, 0), "0001.npz: can't be read as a .npz file", _TRAIN),
    "npz_header": Hostile(
        "medmnist",
        _npz(_npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (10000, 200, 200)}")),
        "0001.npz: would take 3200000000 bytes of memory or more, and limits.bytes is 512000000",
        _TRAIN,
    ),
    "npz_bomb": Hostile("medmnist", _npz_of(BOMB), "0001.npz: would take 59", _TRAIN, slow=True),
    "largest_npz": Hostile("medmnist", _npz_of(127_900_000), "", _TRAIN, slow=True),
    # NIfTI
    "gzip_bomb": Hostile("nifti_folder", _gzip_bomb, "a.nii.gz: would take 5", _ANY, slow=True),
    "nifti_header": Hostile(
        "nifti_folder", _volume(dim=(3, 1000, 1000, 700, 1, 1, 1, 1)), "a.nii: holds an image of 1000x1000x700", _ANY
    ),
    "packed_nifti_header": Hostile(
        "nifti_folder", _volume(".nii.gz", dim=(3, 1000, 1000, 700, 1, 1, 1, 1)), "a.nii.gz: holds an image of 1", _ANY
    ),
    "nifti_affine_nan": Hostile(
        "nifti_folder", _volume(affine=np.full((4, 4), np.nan)), "a.nii: its affine holds NaN", _ANY
    ),
    "nifti_affine_inf": Hostile(
        "nifti_folder", _volume(affine=np.diag([np.inf, 1, 1, 1])), "a.nii: its affine holds NaN", _ANY
    ),
    "nifti_affine_singular": Hostile("nifti_folder", _volume(affine=np.diag([1, 0, 1, 1])), "a.nii: its affine", _ANY),
    "nifti_spacing_nan": Hostile(
        "nifti_folder", _volume(pixdim=(1, 1, np.nan, 1, 1, 1, 1, 1)), "a.nii: has pixels of 1 x nan x 1 mm", _ANY
    ),
    "nifti_spacing": Hostile(
        "nifti_folder",
        _volume(pixdim=(1, 1, 1, 1e5, 1, 1, 1, 1)),
        "a.nii: has pixels of 100000 x 1 x 1 mm, so that",
        _ANY,
    ),
    "largest_nifti": Hostile("nifti_folder", _full_volume, "", _ANY, slow=True),
    # DICOM
    "dicom_rows": Hostile("dicom_series", _slice(change=_run_lengths), "a.dcm: holds an image of 65535x65535 pixels"),
    "dicom_jpeg": Hostile("dicom_series", _slice(change=_other_jpeg), "a.dcm: its pixels can't be read", slow=True),
    "dicom_deflated": Hostile("dicom_series", _deflated_dicom, "a.dcm: would take 512", slow=True),
    "dicom_spacing": Hostile(
        "dicom_series", _slice(PixelSpacing=["1", "1e9"]), "a.dcm: has pixels of 1 x 1e+09 mm, so"
    ),
    "dicom_in_the_root": Hostile("dicom_series", _root_series, "a.dcm: a.dcm and b.dcm lie at the same place"),
    "largest_dicom": Hostile("dicom_series", _full_slice, "", slow=True),
    # Tables
    "csv_null": Hostile(
        "image_folder", _table(b"path,patient\na.png,\0001\n"), "patients.csv: holds null bytes", _TABLE
    ),
    "csv_null_labels": Hostile("mrnet", _null_labels, "train-acl.csv: holds null bytes", {"about": ["acl"]}),
    "csv_null_entries": Hostile("nih_chestxray14", _null_entries, "Data_Entry_2017.csv: holds null bytes"),
    "csv_long_path": Hostile(
        "image_folder", _table(b"path,patient\n" + b"a" * 9000 + b",1\n"), "patients.csv: names aaa", _TABLE
    ),
    # An expression
    "patient_that_hangs": Hostile(
        "image_folder",
        _a_name,
        "patient: the expression '(a+)+$' takes more than 1 seconds on 1 files",
        {"patient": "(a+)+$", "limits": {"seconds": 1}},
    ),
}
