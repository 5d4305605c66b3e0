"""Files in, one array and one split out; or one error that names the file, and nothing half-written."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from copylens.files import read_array, read_table
from copylens.images import gather_images, scale
from copylens.scans import list_scans
from copylens.splits import rows_of, split_patients, training_rows

IMAGES = {"reader": "image_folder", "root": "raw", "pattern": "**/*.*", "patient": r"p(\d+)_"}
VOLUMES = {
    "reader": "nifti_folder",
    "root": "raw",
    "pattern": "**/*.nii*",
    "patient": r"p(\d+)",
    "slices": None,
}


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    """An empty folder of raw images below COPYLENS_DATA."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path))
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def picture(shape=(12, 16), seed=0, dtype=np.uint8):
    high = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, high, shape, endpoint=True).astype(dtype)


def save_volume(path: Path, shape=(6, 8, 10), seed=0, affine=None) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return values


def gather(listing, out: Path, grid, fit="stretch", scaling=None) -> np.ndarray:
    list_scans(listing, out / "scans.tsv")
    imaging = {"grid": grid, "fit": fit, "scaling": scaling or {"kind": "minmax"}}
    gather_images(listing, imaging, out / "scans.tsv", out / "images.npy")
    return read_array(out / "images.npy")


def test_every_format_gives_the_same_picture(raw, tmp_path):
    grey = picture()
    Image.fromarray(grey).save(raw / "p1_a.png")
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(raw / "p1_b.png")
    Image.fromarray(grey).save(raw / "p2_a.tif")
    deep = grey.astype(np.uint16) * 257
    Image.fromarray(deep).save(raw / "p2_b.png")
    Image.fromarray(deep).save(raw / "p3_a.tiff")
    images = gather(IMAGES, tmp_path, [12, 16])
    assert images.dtype == np.float32 and images.shape == (5, 12, 16)
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], atol=1e-3)
    assert images.min() == 0 and images.max() == 1


def test_a_jpeg_is_read(raw, tmp_path):
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    Image.fromarray(smooth).save(raw / "p1_a.jpg", quality=95)
    assert np.corrcoef(gather(IMAGES, tmp_path, [16, 16])[0].ravel(), smooth.ravel())[0, 1] > 0.99


def test_the_table_holds_pseudonyms_and_nothing_of_the_source(raw, tmp_path):
    for patient, letter in ((4711, "a"), (4711, "b"), (4712, "a")):
        Image.fromarray(picture(seed=patient + ord(letter))).save(raw / f"p{patient}_{letter}.png")
    list_scans(IMAGES, tmp_path / "scans.tsv")
    text = (tmp_path / "scans.tsv").read_text()
    table = read_table(tmp_path / "scans.tsv")
    assert list(table.columns) == ["scan", "patient", "shape", "checksum"]
    assert table["patient"].nunique() == 2 and table["patient"][0] == table["patient"][1]
    assert set(table["shape"]) == {"12x16"}
    assert "raw" not in text and "4711" not in "".join(table["scan"] + table["patient"])


def test_a_volume_lies_head_up_whatever_its_storage_order(raw, tmp_path):
    values = save_volume(raw / "p1.nii.gz")
    flipped = np.diag([-1.0, 1.0, -1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(values[::-1, :, ::-1], flipped), raw / "p2.nii")
    images = gather(VOLUMES, tmp_path, [10, 8, 6])
    np.testing.assert_array_equal(images[0], images[1])


def test_slices_of_a_volume_are_scans_of_one_patient(raw, tmp_path):
    save_volume(raw / "p1.nii.gz")
    save_volume(raw / "p2.nii.gz", seed=1)
    listing = VOLUMES | {"slices": {"axis": 2, "positions": [0.25, 0.75]}}
    assert gather(listing, tmp_path, [8, 6]).shape == (4, 8, 6)
    assert list(read_table(tmp_path / "scans.tsv")["patient"].value_counts()) == [2, 2]


def test_padding_keeps_proportions_and_stretching_fills(raw, tmp_path):
    Image.fromarray(picture((8, 16))).save(raw / "p1_a.png")
    padded = gather(IMAGES, tmp_path, [16, 16], fit="pad")[0]
    assert (padded[:4] == padded.min()).all() and padded[4:12].std() > 0.1
    assert gather(IMAGES, tmp_path, [16, 16], fit="stretch")[0][:4].std() > 0.1
    assert gather(IMAGES, tmp_path, [8, 8], fit="crop")[0].std() > 0.1


def test_each_scaling_is_what_it_says():
    image = np.array([[-1000.0, 0.0], [100.0, 3000.0]], dtype=np.float32)
    np.testing.assert_allclose(scale(image, {"kind": "minmax"}), (image + 1000) / 4000)
    window = scale(image, {"kind": "window", "low": -100, "high": 300})
    np.testing.assert_allclose(window, [[0, 0.25], [0.5, 1]])
    ramp = np.arange(101, dtype=np.float32)
    np.testing.assert_allclose(scale(ramp, {"kind": "percentile", "low": 10, "high": 60})[[5, 35, 80]], [0, 0.5, 1])


def _truncated_nifti(raw):
    save_volume(raw / "p1.nii.gz")
    whole = gzip.decompress((raw / "p1.nii.gz").read_bytes())
    (raw / "p1.nii.gz").unlink()
    (raw / "p2.nii").write_bytes(whole[: len(whole) // 2])
    return VOLUMES, "p2.nii: can't be read as NIfTI"


def _truncated_gzip(raw):
    save_volume(raw / "p1.nii.gz")
    (raw / "p1.nii.gz").write_bytes((raw / "p1.nii.gz").read_bytes()[:300])
    return VOLUMES, "p1.nii.gz: can't be read as NIfTI"


def _unreadable_png(raw):
    (raw / "p1_a.png").write_bytes(b"not a picture")
    return IMAGES, "p1_a.png: can't be read as an image"


def _truncated_png(raw):
    Image.fromarray(picture((64, 64))).save(raw / "p1_a.png")
    (raw / "p1_a.png").write_bytes((raw / "p1_a.png").read_bytes()[:600])
    return IMAGES, "p1_a.png: can't be read as an image"


def _nan(raw):
    nibabel.save(nibabel.Nifti1Image(np.full((4, 4, 4), np.nan, np.float32), np.eye(4)), raw / "p1.nii")
    return VOLUMES, "p1.nii: holds values that are not finite"


def _constant(raw):
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(raw / "p1_a.png")
    return IMAGES, "p1_a.png: every pixel has the same value, 7"


def _empty_folder(raw):
    return IMAGES, "matches the pattern"


def _no_folder(raw):
    raw.rmdir()
    return IMAGES, "set COPYLENS_DATA"


def _patient_mismatch(raw):
    Image.fromarray(picture()).save(raw / "p1_a.png")
    Image.fromarray(picture()).save(raw / "scout.png")
    return IMAGES, r"doesn't match the file scout.png"


def _mixed_dimensions(raw):
    save_volume(raw / "p1.nii")
    save_volume(raw / "p2.nii", shape=(5, 5))
    return VOLUMES, "p2.nii: has 2 axes (5, 5)"


@pytest.mark.parametrize(
    "damage",
    [
        _truncated_nifti,
        _truncated_gzip,
        _unreadable_png,
        _truncated_png,
        _nan,
        _constant,
        _empty_folder,
        _no_folder,
        _patient_mismatch,
        _mixed_dimensions,
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(raw, tmp_path, damage):
    listing, message = damage(raw)
    out = tmp_path / "out"
    with pytest.raises(ValueError) as error:
        list_scans(listing, out / "scans.tsv")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not out.exists() or list(out.iterdir()) == []


def test_a_volume_in_a_2d_data_set_is_named_and_leaves_no_array(raw, tmp_path):
    save_volume(raw / "p1.nii")
    list_scans(VOLUMES, tmp_path / "scans.tsv")
    imaging = {"grid": [8, 8], "fit": "pad", "scaling": {"kind": "minmax"}}
    with pytest.raises(ValueError, match=r"p1\.nii: has 3 axes .* either 2D or 3D"):
        gather_images(VOLUMES, imaging, tmp_path / "scans.tsv", tmp_path / "images.npy")
    assert [path.name for path in tmp_path.glob("*images*")] == []


def test_a_file_that_changed_after_listing_is_named(raw, tmp_path):
    Image.fromarray(picture()).save(raw / "p1_a.png")
    list_scans(IMAGES, tmp_path / "scans.tsv")
    Image.fromarray(picture(seed=9)).save(raw / "p1_a.png")
    imaging = {"grid": [12, 16], "fit": "pad", "scaling": {"kind": "minmax"}}
    with pytest.raises(ValueError, match=r"p1_a\.png: changed since"):
        gather_images(IMAGES, imaging, tmp_path / "scans.tsv", tmp_path / "images.npy")


@pytest.fixture
def table(tmp_path) -> Path:
    """scans.tsv of 60 patients, every third with two scans."""
    patients = [f"patient_{number:05d}" for number in range(60) for _ in range(1 + (number % 3 == 0))]
    frame = pd.DataFrame({"scan": [f"scan_{row:06d}" for row in range(len(patients))], "patient": patients})
    frame.to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    return tmp_path / "scans.tsv"


def split(table, **changes):
    settings = {"train": 20, "calibration": 20, "control": 15, "scans_per_patient": None, "seed": 0} | changes
    split_patients(settings, table, table.with_name("splits.tsv"))
    return read_table(table.with_name("splits.tsv"))


def test_no_patient_has_two_roles_and_each_role_has_its_number(table):
    splits = split(table)
    assert (splits.groupby("patient")["role"].nunique() == 1).all()
    counted = splits.groupby("role")["patient"].nunique()
    assert counted.to_dict() == {"train": 20, "calibration": 20, "control": 15, "unused": 5}


def test_the_seed_draws_the_patients(table):
    assert split(table).equals(split(table))
    assert not split(table).equals(split(table, seed=1))


def test_one_scan_per_patient_leaves_one(table):
    splits = split(table, scans_per_patient=1)
    used = splits[splits["role"] != "unused"]
    assert len(used) == used["patient"].nunique() == 55


def test_too_few_patients_is_said_with_both_numbers(table):
    with pytest.raises(ValueError, match=r"split: asks for 20 train \+ 20 calibration \+ 30 control = 70 .* has 60"):
        split(table, control=30)
    assert not table.with_name("splits.tsv").exists()


def test_smaller_training_sets_lie_in_larger_ones(table):
    splits = split(table)
    small, large = training_rows(splits, 8), training_rows(splits, 16)
    assert len(small) == 8 and set(small) < set(large) < set(rows_of(splits, "train"))
    with pytest.raises(ValueError, match="n_train: asks for 99"):
        training_rows(splits, 99)
