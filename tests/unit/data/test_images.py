"""Files in, one array and one split out; or one error that names the file, and nothing half-written."""

import gzip
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from copylens.data.images import gather_images, scale
from copylens.data.listing import list_scans
from copylens.jobs.files import read_array, read_table

LIMITS = {"pixels": 10**6, "padded": 10**6, "bytes": 10**7, "seconds": 10}
IMAGES = {"reader": "image_folder", "root": "raw", "pattern": "**/*.*", "patient": r"p(\d+)_", "limits": LIMITS}
VOLUMES = {
    "reader": "nifti_folder",
    "root": "raw",
    "pattern": "**/*.nii*",
    "patient": r"p(\d+)",
    "slices": None,
    "limits": LIMITS,
}


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


def test_a_body_keeps_its_proportions_whatever_the_spacing_of_its_voxels(raw, tmp_path):
    """One ball of 24 mm, stored at 1 x 1 x 1 mm and at 1 x 1 x 3 mm."""
    for name, thickness in (("p1.nii", 1), ("p2.nii", 3)):
        axes = np.meshgrid(*[np.arange(-19.5, 20, step) for step in (1, 1, thickness)], indexing="ij")
        ball = (sum(axis**2 for axis in axes) < 12**2).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(ball, np.diag([1.0, 1.0, thickness, 1.0])), raw / name)
    for fit in ("pad", "crop"):
        first, second = gather(VOLUMES, tmp_path, [20, 20, 20], fit=fit)
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95


def test_sixteen_bits_of_colour_are_all_read(raw, tmp_path):
    """Grey levels that differ in their low bytes alone, in a PNG written by hand: Pillow writes none."""
    levels = (0x1200 + np.arange(192).reshape(12, 16)).astype(">u2")
    rows = b"".join(b"\0" + np.repeat(row[:, None], 3, axis=1).tobytes() for row in levels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 16, 12, 16, 2, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    (raw / "p1_a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    image = gather(IMAGES, tmp_path, [12, 16])[0]
    np.testing.assert_allclose(image, np.arange(192).reshape(12, 16) / 191, atol=1e-3)


def test_hidden_files_are_left_out_and_linked_folders_are_followed(raw, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(picture()).save(tmp_path / "elsewhere" / "p1_a.png")
    (raw / "linked").symlink_to(tmp_path / "elsewhere")
    (raw / "._p2_a.png").write_bytes(b"what macOS leaves behind")
    with pytest.raises(ValueError, match=r"linked/p1_a\.png: leads out of .* outside_links"):
        list_scans(IMAGES, tmp_path / "scans.tsv")
    list_scans(IMAGES | {"outside_links": True}, tmp_path / "scans.tsv")
    assert len(read_table(tmp_path / "scans.tsv")) == 1


def test_a_window_that_leaves_nothing_names_the_file(raw, tmp_path):
    save_volume(raw / "p1.nii.gz")
    with pytest.raises(ValueError, match=r"p1\.nii\.gz: nothing is left of it after scaling"):
        gather(VOLUMES, tmp_path, [8, 8, 8], scaling={"kind": "window", "low": 100, "high": 200})
    assert not (tmp_path / "images.npy").exists()


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


def _damaged_gzip(raw):
    """One wrong bit in the stream: most decompressors go on, and the values are wrong."""
    save_volume(raw / "p1.nii.gz", shape=(16, 16, 16))
    damaged = bytearray((raw / "p1.nii.gz").read_bytes())
    damaged[-8] ^= 1  # in the checksum
    (raw / "p1.nii.gz").write_bytes(damaged)
    return VOLUMES, "p1.nii.gz: can't be read as NIfTI"


def _colour_nifti(raw):
    colours = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), raw / "p1.nii")
    return VOLUMES, "p1.nii: can't be read as NIfTI"


def _empty_patient(raw):
    Image.fromarray(picture()).save(raw / "p_a.png")
    return IMAGES | {"patient": r"p(\d*)_"}, "doesn't match the file p_a.png"


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
        _damaged_gzip,
        _colour_nifti,
        _empty_patient,
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


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(("shape", "grid"), [((90, 61), [16, 24]), ((10, 40), [16, 24]), ((30, 17, 22), [8, 8, 12])])
def test_large_images_are_resized_as_small_ones_are(raw, tmp_path, monkeypatch, shape, grid, fit):
    for number in (1, 2):
        values = np.random.default_rng(number).normal(size=shape).astype(np.float32)
        np.save(raw / f"p{number}.npy", values)
    listing = IMAGES | {"reader": "npy_folder", "patient": r"p(\d)", "stacked": False, "spacing": None}
    small = np.array(gather(listing, tmp_path, grid, fit))
    monkeypatch.setattr("copylens.data.images.MOST_PRODUCTS", 0)
    np.testing.assert_allclose(gather(listing, tmp_path, grid, fit), small, atol=2e-6)
