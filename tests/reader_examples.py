"""For each reader of files, a small data set in its format: four images of four patients."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import yaml
from conftest import ROOT
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from copylens.config import checks, spec

STEMS = ["0001", "0002", "0003", "0004"]


def save_images(root: Path, stems: list[str], images: np.ndarray) -> None:
    for stem, image in zip(stems, images, strict=True):
        Image.fromarray(image).save(root / f"{stem}.png")


def save_nih(root: Path, stems: list[str], images: np.ndarray) -> None:
    (root / "images_001" / "images").mkdir(parents=True)
    save_images(root / "images_001" / "images", stems, images)
    rows = [["Image Index", "Finding Labels", "Patient ID", "Patient Age"]]
    rows += [[f"{stem}.png", "Mass|Nodule", f"person {stem}", "51"] for stem in stems]
    with (root / "Data_Entry_2017.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def save_nifti(root: Path, stems: list[str], images: np.ndarray) -> None:
    for stem, image in zip(stems, images, strict=True):
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), root / f"{stem}.nii")


def save_arrays(root: Path, stems: list[str], images: np.ndarray) -> None:
    for stem, image in zip(stems, images, strict=True):
        np.save(root / f"{stem}.npy", image)


def save_mrnet(root: Path, stems: list[str], images: np.ndarray) -> None:
    for name, part in (("train", slice(0, 3)), ("valid", slice(3, 4))):
        (root / name / "sagittal").mkdir(parents=True)
        save_arrays(root / name / "sagittal", stems[part], images[part])
        (root / f"{name}-acl.csv").write_text("".join(f"{stem},1\n" for stem in stems[part]))


def save_medmnist(root: Path, stems: list[str], images: np.ndarray) -> None:
    parts = {"train": slice(0, 2), "val": slice(2, 3), "test": slice(3, 4)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    arrays |= {f"{name}_labels": np.ones((len(images[part]), 1), np.uint8) for name, part in parts.items()}
    np.savez(root / f"{stems[0]}.npz", **arrays)


def save_fastmri(root: Path, stems: list[str], images: np.ndarray) -> None:
    for stem, image in zip(stems, images, strict=True):
        with h5py.File(root / f"{stem}.h5", "w") as file:
            file["reconstruction_rss"] = image
            file.attrs["patient_id"] = f"person {stem}"


def save_slice(path: Path, pixels: np.ndarray, **fields) -> None:
    """A DICOM file of one MR slice, with `fields` in its header (None takes one away)."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[path.parent.name, path.name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    bits = 8 * pixels.dtype.itemsize
    defaults = {
        "PatientID": "person",
        "SeriesInstanceUID": "1.2.3",
        "Modality": "MR",
        "PixelSpacing": [1.0, 1.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
    }
    for keyword, value in (defaults | fields).items():
        if value is not None:
            setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def save_dicom(root: Path, stems: list[str], images: np.ndarray) -> None:
    for number, (stem, image) in enumerate(zip(stems, images, strict=True)):
        for height, pixels in enumerate(image):
            place = {"ImagePositionPatient": [0, 0, 2.0 * height], "SeriesInstanceUID": f"1.2.{number + 1}"}
            # File names are in no order.
            save_slice(root / stem / f"{height * 5 % 7}.dcm", pixels, PatientID=f"person {stem}", **place)


@dataclass(frozen=True)
class Example:
    """How to write four images in a reader's format, and what a configuration says about them."""

    save: Callable[[Path, list[str], np.ndarray], None]
    axes: int
    pattern: str  # of the files with pixels
    settings: dict


EXAMPLES = {
    "image_folder": Example(save_images, 2, "*.png", {"patient": "(.+)"}),
    "nih_chestxray14": Example(save_nih, 2, "**/*.png", {}),
    "nifti_folder": Example(save_nifti, 3, "*.nii", {"patient": r"([^/]+)\.nii"}),
    "npy_folder": Example(save_arrays, 2, "*.npy", {"patient": "(.+)"}),
    "mrnet": Example(save_mrnet, 3, "*/*/*.npy", {"plane": "sagittal"}),
    "fastmri": Example(save_fastmri, 3, "*.h5", {}),
    "dicom_series": Example(save_dicom, 3, "*/*.dcm", {}),
    "medmnist": Example(save_medmnist, 2, "*.npz", {"file": "0001.npz"}),
}


def pictures(axes: int) -> np.ndarray:
    """Four different images, 8 bits [4, 10, 12] or [4, 6, 10, 12]."""
    shape = (4, 10, 12) if axes == 2 else (4, 6, 10, 12)
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def listing(reader: str, **changes) -> dict:
    """The checked settings of a data set in the folder raw."""
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    grid = [8] * EXAMPLES[reader].axes
    config["datasets"]["other"] = {"reader": reader, "root": "raw", "grid": grid}
    config["datasets"]["other"] |= EXAMPLES[reader].settings | changes
    return spec.listing_settings(checks.check(config), "other")
