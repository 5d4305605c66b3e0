"""Valid files of each reader, damaged: at any place, and at the fields that say how much there is to read."""

import functools
import gzip
import io
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import reader_examples
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from reader_examples import STEMS, pictures, save_slice

EXTREME = [0, 1, 2, 3, 7, 16, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]
EXTREME += [-1, -2, -32768, -(2**31), -(2**63)]
DECIMALS = [0.0, -1.0, 1e-30, 1e-5, 1e5, 1e30, float("nan"), float("inf"), float("-inf")]
WORDS = [
    b"",
    b"\0",
    b"nan",
    b"-1",
    b"1e999",
    b"0",
    b"99999999999999999999",
    b'"',
    b"\xff\xfe",
    b",,,,",
    b"../x",
    b"\r\n",
]
WORDS += [b"(((((", b"\t", b"True", b"<f8", b"|O", b"1e308", b"\\", b"inf", b"\xc3", b"9" * 5000]


@dataclass
class Damage:
    """What a reader's mutants are made of: how a valid folder is written, which file is damaged, and how."""

    save: Callable[[Path], None]
    file: str
    mutate: list[Callable[[bytes, np.random.Generator], bytes]]
    settings: dict = field(default_factory=dict)


# ---- Damage to any file ----------------------------------------------------------------------------------------------


def flip(data: bytes, generator) -> bytes:
    """A few wrong bits, most of them near the beginning."""
    damaged = bytearray(data)
    for _ in range(generator.integers(1, 9)):
        damaged[_place(data, generator)] ^= 1 << generator.integers(8)
    return bytes(damaged)


def overwrite(data: bytes, generator) -> bytes:
    """A number of 1 to 8 bytes, in either order of bytes."""
    kind = str(generator.choice(["b", "h", "i", "q", "f", "d"]))
    number = generator.choice(DECIMALS) if kind in "fd" else _fitting(_any(EXTREME, generator), kind)
    value = struct.pack(str(generator.choice(["<", ">"])) + kind, number)
    place = _place(data, generator)
    return data[:place] + value + data[place + len(value) :]


def rearrange(data: bytes, generator) -> bytes:
    """A block that is missing, there twice, new, or empty; or the end is missing."""
    first, last = sorted(int(place) for place in generator.integers(0, len(data) + 1, 2))
    last = min(last, first + 2000)
    block = data[first:last]
    new = [b"", block * 2, generator.bytes(len(block)), bytes(len(block)), b"\xff" * len(block), block[::-1]]
    kind = generator.integers(len(new) + 1)
    return data[:first] if kind == len(new) else data[:first] + new[kind] + data[last:]


def words(data: bytes, generator) -> bytes:
    """A word of a text that became another one."""
    found = list(re.finditer(rb"[\w.|<>-]+|[^\w\s]", data[:4000]))
    if not found:
        return overwrite(data, generator)
    first, last = found[generator.integers(len(found))].span()
    return data[:first] + _any(WORDS, generator) + data[last:]


def twice(data: bytes, generator) -> bytes:
    return _any(ANYWHERE, generator)(_any(ANYWHERE, generator)(data, generator) or b"\0", generator)


def _place(data: bytes, generator) -> int:
    header = min(len(data), 400) if generator.random() < 0.7 else len(data)
    return int(generator.integers(header))


def _any(choices: list, generator):
    return choices[generator.integers(len(choices))]


def _fitting(number: int, kind: str) -> int:
    bits = 8 * struct.calcsize(kind)
    return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


ANYWHERE = [flip, overwrite, rearrange]


# ---- Damage to the fields of a format --------------------------------------------------------------------------------


def nifti_fields(data: bytes, generator) -> bytes:
    """Sizes, type, spacing, scaling and orientation of a NIfTI header; in a compressed file, of what is in it."""
    if data[:2] == b"\x1f\x8b":
        return gzip.compress(nifti_fields(gzip.decompress(data), generator), 1, mtime=0)
    damaged = bytearray(data)
    for _ in range(generator.integers(1, 4)):
        kind = generator.integers(4)
        if kind == 0:
            struct.pack_into(
                "<h", damaged, 40 + 2 * int(generator.integers(8)), _fitting(_any(EXTREME, generator), "h")
            )
        elif kind == 1:
            types = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 9999]
            struct.pack_into("<h", damaged, 70, _any(types, generator))
        elif kind == 2:
            struct.pack_into("<f", damaged, 76 + 4 * int(generator.integers(11)), _any(DECIMALS, generator))
        else:
            struct.pack_into("<hh", damaged, 252, *(int(code) for code in generator.integers(0, 3, 2)))
            struct.pack_into("<f", damaged, 256 + 4 * int(generator.integers(18)), _any(DECIMALS, generator))
    return bytes(damaged)


def npy_header(data: bytes, generator) -> bytes:
    """Type and shape of an array, as its header says them."""
    types = [
        "<f8",
        "|u1",
        "|b1",
        "<f2",
        "<i8",
        ">u4",
        "|O",
        "<c16",
        "<U9",
        "<M8[s]",
        "|V400",
        "<f16",
        "zz",
        "|S99999999",
    ]
    sizes = [-1, 0, 1, 3, 10, 12, 120, 65536, 10**9, 2**31, 2**62, 2**63, 10**30]
    shape = [_any(sizes, generator) for _ in range(generator.integers(0, 5))]
    header = f"{{'descr': '{_any(types, generator)}', 'fortran_order': {generator.random() < 0.5}, 'shape': ("
    header += "".join(f"{size}, " for size in shape) + "), }"
    if generator.random() < 0.2:
        header = words(header.encode(), generator).decode(errors="replace")
    text = header.encode("latin1", errors="replace").ljust(118) + b"\n"
    return data[:8] + struct.pack("<H", len(text)) + text + data[128:]


def npz_members(data: bytes, generator) -> bytes:
    """One array of a .npz file, damaged; the archive is whole."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = _any(sorted(members), generator)
    members[name] = _any([*ANYWHERE, npy_header, npy_header, words], generator)(members[name], generator)
    if generator.random() < 0.1:
        del members[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", _any([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], generator)) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return buffer.getvalue()


def zip_fields(data: bytes, generator) -> bytes:
    """Sizes, method and flags of an archive's members."""
    places = [found.start() for found in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", data)]
    if not places:
        return flip(data, generator)
    place = _any(places, generator) + 4 + 2 * int(generator.integers(21))
    value = struct.pack("<I", _any(EXTREME, generator) % 2**32)[: _any([2, 4], generator)]
    return data[:place] + value + data[place + len(value) :]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_fields(data: bytes, generator) -> bytes:
    """Size, depth and colours of a PNG, whose checksum is right."""
    if data[:4] != b"\x89PNG":
        return tiff_tags(data, generator)
    header = bytearray(data[16:29])
    for _ in range(generator.integers(1, 3)):
        if generator.random() < 0.5:
            struct.pack_into(">I", header, 4 * int(generator.integers(2)), _any(EXTREME, generator) % 2**32)
        else:
            header[8 + generator.integers(5)] = _any([0, 1, 2, 3, 4, 6, 8, 16, 255], generator)
    more = _any([b"", png_chunk(b"tRNS", b"\0\1"), png_chunk(b"acTL", b"\0\0\0\2\0\0\0\0")], generator)
    return data[:8] + png_chunk(b"IHDR", bytes(header)) + more + data[33:]


def tiff_tags(data: bytes, generator) -> bytes:
    """Kind, type, count or value of one of a TIFF's tags, or one tag less."""
    if data[:4] != b"II*\0":
        return words(data, generator)
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    damaged = bytearray(data)
    for _ in range(generator.integers(1, 3)):
        entry = place + 2 + 12 * int(generator.integers(count))
        kind = generator.integers(4)
        if kind == 0:  # tags of sizes, bits, compression, strips and tiles
            tags = [254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 317, 320, 322, 323, 324, 325, 338, 339, 9999]
            struct.pack_into("<H", damaged, entry, _any(tags, generator))
        elif kind == 1:
            struct.pack_into("<H", damaged, entry + 2, int(generator.integers(0, 14)))
        else:
            value = _any([1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000, *EXTREME], generator) % 2**32
            struct.pack_into("<I", damaged, entry + 4 * int(kind) - 4, value)
    return bytes(damaged)


def dicom_fields(data: bytes, generator) -> bytes:
    """Fields of a DICOM header, written as a careless program would."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    numbers = [str(number)[:16] for number in DECIMALS + EXTREME]
    for _ in range(generator.integers(1, 4)):
        keyword = str(generator.choice(["short", "text", "decimal", "syntax", "delete"]))
        if keyword == "short":
            names = [
                "Rows",
                "Columns",
                "BitsAllocated",
                "BitsStored",
                "HighBit",
                "PixelRepresentation",
                "SamplesPerPixel",
            ]
            setattr(dataset, _any(names, generator), _any(EXTREME[:12], generator))
        elif keyword == "text":
            kinds = ["MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "", "x" * 17]
            setattr(
                dataset,
                _any(["PhotometricInterpretation", "PatientID", "SeriesInstanceUID"], generator),
                _any(kinds, generator),
            )
        elif keyword == "decimal":
            names = ["RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagePositionPatient", "NumberOfFrames"]
            name = _any([*names, "ImageOrientationPatient"], generator)
            value = [_any(numbers, generator) for _ in range(_any([1, 2, 3, 6], generator))]
            # As raw bytes, since pydicom would refuse to write most of them.
            dataset.add_new(name, "LO", value if len(value) > 1 else value[0])
        elif keyword == "syntax":
            syntaxes = [RLELossless, JPEGBaseline8Bit, JPEG2000Lossless, DeflatedExplicitVRLittleEndian]
            dataset.file_meta.TransferSyntaxUID = _any(
                [*syntaxes, ImplicitVRLittleEndian, "1.2.840.113619.5.2"], generator
            )
        else:
            del dataset[_any(sorted(dataset.keys()), generator)]
            if not dataset:
                return data
    buffer = io.BytesIO()
    try:
        pydicom.dcmwrite(buffer, dataset, little_endian=True, implicit_vr=False)
    except Exception:  # pydicom writes only what it could read
        return overwrite(data, generator)
    return buffer.getvalue()


def hdf5_fields(data: bytes, generator) -> bytes:
    """An HDF5 file whose parts have other types, shapes, blocks or kinds."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        shape = [
            int(_any([1, 6, 10, 12, 100, 65536, 10**6, 2**31, 2**40], generator))
            for _ in range(generator.integers(0, 5))
        ]
        kind = str(generator.choice(["empty", "data", "group", "link", "array"], p=[0.5, 0.2, 0.1, 0.1, 0.1]))
        if kind == "empty":
            types = ["u1", "f8", "i2", "f2", "S20", "c16", "V3"]
            options = {"dtype": _any(types, generator)}
            if shape and generator.random() < 0.7:
                options["chunks"] = tuple(min(size, _any([1, 10, 1000, 10**6], generator)) for size in shape)
                options |= _any([{}, {"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}], generator)
            try:
                file.create_dataset("reconstruction_rss", shape, **options)
            except (ValueError, TypeError, OSError):
                file["reconstruction_rss"] = 1
        elif kind == "data":
            file["reconstruction_rss"] = _any(
                ["text", 1.5, b"", np.full((2, 3, 4), np.nan), np.zeros((0, 3, 4))], generator
            )
        elif kind == "group":
            file.create_group("reconstruction_rss")
        elif kind == "link":
            file["reconstruction_rss"] = h5py.SoftLink(_any(["/reconstruction_rss", "/nothing", "/"], generator))
        else:
            file.create_dataset("reconstruction_rss", data=pictures(3)[0], chunks=(1, 10, 12), compression="gzip")
        file.attrs["patient_id"] = _any(["", "a", 3, b"\xff\xfe", np.arange(3), 1.5, h5py.Empty("f")], generator)
        headers = ["<a", "", b"\xff", 5, np.arange(3), "<a>" * 3000, h5py.Empty("S10")]
        if generator.random() < 0.5:
            sizes = ["0", "-1", "nan", "inf", "1e300", "1", "1e-300", "x", ""]
            headers += [_header([_any(sizes, generator) for _ in range(6)])] * 3
            file["ismrmrd_header"] = _any(headers, generator)
    return buffer.getvalue()


def _header(numbers: list[str]) -> str:
    matrix, lengths = (f"<x>{x}</x><y>{y}</y><z>{z}</z>" for x, y, z in (numbers[:3], numbers[3:]))
    space = f"<matrixSize>{matrix}</matrixSize><fieldOfView_mm>{lengths}</fieldOfView_mm>"
    return f"<h><reconSpace>{space}</reconSpace></h>"


# ---- Valid files -----------------------------------------------------------------------------------------------------


def _two(axes: int) -> np.ndarray:
    return pictures(axes)[:2]


def _picture(suffix: str, mode: str = "L", **options) -> Callable[[Path], None]:
    def save(raw: Path) -> None:
        images = _two(2)
        images = images.astype(np.uint16) * 250 if mode == "I;16" else images
        Image.fromarray(images[0]).convert(mode).save(raw / f"0001{suffix}", **options)

    return save


def _volume(suffix: str) -> Callable[[Path], None]:
    def save(raw: Path) -> None:
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        nibabel.save(nibabel.Nifti1Image(_two(3)[0].astype(np.int16), affine), raw / f"0001{suffix}")

    return save


def _slices(syntax=None, single: bool = False) -> Callable[[Path], None]:
    def save(raw: Path) -> None:
        for height, pixels in enumerate(_two(3)[0][: 1 if single else 3]):
            path = raw / "a" / f"{height}.dcm"
            save_slice(path, pixels.astype(np.uint16), ImagePositionPatient=[0, 0, 2.0 * height])
            if syntax is not None:
                dataset = pydicom.dcmread(path)
                if syntax is RLELossless:
                    dataset.compress(RLELossless)
                dataset.file_meta.TransferSyntaxUID = syntax
                dataset.save_as(path)

    return save


def _jpeg_slice(raw: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(_two(2)[0]).save(buffer, "JPEG")
    save_slice(raw / "0.dcm", _two(2)[0])
    dataset = pydicom.dcmread(raw / "0.dcm")
    dataset.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(raw / "0.dcm")


def _hdf5(raw: Path) -> None:
    reader_examples.save_fastmri(raw, STEMS[:1], _two(3)[:1])
    with h5py.File(raw / "0001.h5", "a") as file:
        del file["reconstruction_rss"]
        options = {"chunks": (2, 5, 12), "compression": "gzip", "shuffle": True}
        file.create_dataset("reconstruction_rss", data=_two(3)[0], **options)
        file["ismrmrd_header"] = _header(["1", "2", "3", "4", "5", "6"])


def _medmnist(compressed: bool) -> Callable[[Path], None]:
    def save(raw: Path) -> None:
        arrays = {"train_images": _two(2), "train_labels": np.ones((2, 1), np.uint8)}
        (np.savez_compressed if compressed else np.savez)(raw / "0001.npz", **arrays)

    return save


def _mrnet(raw: Path) -> None:
    reader_examples.save_mrnet(raw, STEMS, pictures(3))


def _nih(raw: Path) -> None:
    reader_examples.save_nih(raw, STEMS[:2], _two(2))


def _with_table(raw: Path) -> None:
    reader_examples.save_images(raw, STEMS[:2], _two(2))
    (raw / "patients.csv").write_text("path,patient,split\n0001.png,1,train\n0002.png,2,control\n")


def _arrays(raw: Path) -> None:
    reader_examples.save_arrays(raw, STEMS[:1], _two(2)[:1])


TEXT = [words, words, twice, *ANYWHERE]
IMAGE = [png_fields, png_fields, twice, *ANYWHERE]
NPY = [npy_header, npy_header, words, twice, *ANYWHERE]
DICOM = [dicom_fields, dicom_fields, twice, *ANYWHERE]
PNG = {"patient": None}
DAMAGES = {
    "image_folder": [
        Damage(_picture(".png"), "0001.png", IMAGE, PNG),
        Damage(_picture(".png", "I;16"), "0001.png", IMAGE, PNG),
        Damage(_picture(".png", "P"), "0001.png", IMAGE, PNG),
        Damage(_picture(".jpg", "RGB"), "0001.jpg", [twice, *ANYWHERE], PNG),
        Damage(_picture(".tif"), "0001.tif", IMAGE, PNG),
        Damage(_picture(".tif", compression="tiff_lzw"), "0001.tif", IMAGE, PNG),
        Damage(_picture(".tif", "RGB", compression="tiff_adobe_deflate"), "0001.tif", IMAGE, PNG),
        Damage(_with_table, "patients.csv", TEXT, PNG | {"table": "patients.csv"}),
    ],
    "nih_chestxray14": [
        Damage(_nih, "images_001/images/0001.png", IMAGE),
        Damage(_nih, "Data_Entry_2017.csv", TEXT, {"about": ["Finding Labels"]}),
    ],
    "nifti_folder": [
        Damage(_volume(".nii"), "0001.nii", [nifti_fields, nifti_fields, twice, *ANYWHERE], {"patient": None}),
        Damage(_volume(".nii.gz"), "0001.nii.gz", [nifti_fields, nifti_fields, twice, *ANYWHERE], {"patient": None}),
    ],
    "npy_folder": [
        Damage(_arrays, "0001.npy", NPY, {"patient": None}),
        Damage(_arrays, "0001.npy", NPY, {"patient": None, "spacing": [1.0, 3.0]}),
    ],
    "mrnet": [
        Damage(_mrnet, "train/sagittal/0001.npy", NPY),
        Damage(_mrnet, "train-acl.csv", TEXT, {"about": ["acl"]}),
    ],
    "fastmri": [
        Damage(_hdf5, "0001.h5", [hdf5_fields, twice, *ANYWHERE]),
    ],
    "dicom_series": [
        Damage(_slices(), "a/1.dcm", DICOM),
        Damage(_slices(RLELossless), "a/1.dcm", DICOM),
        Damage(_slices(DeflatedExplicitVRLittleEndian), "a/1.dcm", DICOM),
        Damage(_slices(single=True), "a/0.dcm", DICOM),
        Damage(_jpeg_slice, "0.dcm", DICOM),
    ],
    "medmnist": [
        Damage(_medmnist(compressed), "0001.npz", [npz_members, npz_members, zip_fields, twice, *ANYWHERE], settings)
        for compressed in (False, True)
        for settings in ({"sets": ["train"]}, {"sets": ["train"], "about": ["label"]})
    ],
}


@functools.cache
def _folder(reader: str, kind: int) -> tuple[dict[str, bytes], dict]:
    """A valid folder's files, and its settings."""
    damage = DAMAGES[reader][kind]
    with tempfile.TemporaryDirectory() as folder:
        damage.save(Path(folder))
        paths = [path for path in sorted(Path(folder).glob("**/*")) if path.is_file()]
        files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return files, reader_examples.listing(reader, **damage.settings)


def write_valid(raw: Path, reader: str, kind: int) -> dict:
    """Write the data set that a reader's mutants of one kind are made from; the settings to list it with."""
    files, settings = _folder(reader, kind)
    for name, data in files.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(data)
    return settings


def write_mutant(raw: Path, reader: str, number: int, seed: int = 0) -> dict:
    """Write the data set of a reader's mutant of that number into an empty folder; the settings to list it with."""
    kind = number % len(DAMAGES[reader])
    settings, damage = write_valid(raw, reader, kind), DAMAGES[reader][kind]
    generator, path = np.random.default_rng([seed, number]), raw / damage.file
    path.write_bytes(_any(damage.mutate, generator)(path.read_bytes(), generator))
    return settings
