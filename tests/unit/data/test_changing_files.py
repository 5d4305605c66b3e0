"""Files that change while they are read: what is read is what was checksummed, or the file is named."""

import multiprocessing
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from copylens.data import images, listing
from copylens.data.listing import find_scans, list_scans, load_scan, reader_of

LIMITS = {"pixels": 10**7, "padded": 10**7, "bytes": 10**8, "seconds": 10}
IMAGING = {"grid": [8, 8], "fit": "stretch", "scaling": {"kind": "minmax"}}
PIXELS = np.random.default_rng(0).integers(0, 255, (3, 200, 300)).astype(np.uint8)


def entry(reader: str, pattern: str, **settings) -> dict:
    return {"reader": reader, "root": "raw", "pattern": pattern, "patient": "(.+)", "limits": LIMITS, **settings}


PNG = entry("image_folder", "*.png")


def replaced(path: Path) -> None:
    Image.fromarray(PIXELS[2]).save(path.with_name(".new"), format="png")
    os.replace(path.with_name(".new"), path)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut_off(path: Path) -> None:
    os.truncate(path, 100)


CHANGES = [replaced, grown, cut_off]


@pytest.fixture
def pictures(raw) -> Path:
    for number in range(2):
        Image.fromarray(PIXELS[number]).save(raw / f"p{number}.png")
    return raw


def changing(monkeypatch, module, change, path: Path, when: str) -> None:
    """Have the file change just before or after its pixels are read."""

    def load(reader, root, scan, settings):
        if when == "before" and scan.source == path.name:
            change(path)
        image = load_scan(reader, root, scan, settings)
        if when == "after" and scan.source == path.name:
            change(path)
        return image

    monkeypatch.setattr(module, "load_scan", load)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_listed_is_named(change, when, pictures, tmp_path, monkeypatch):
    changing(monkeypatch, listing, change, pictures / "p1.png", when)
    with pytest.raises(ValueError, match=r"^p1\.png: (changed while it was read; run again|can't be read as an image)"):
        list_scans(PNG, tmp_path / "out" / "scans.tsv")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_resampled_is_named(change, when, pictures, tmp_path, monkeypatch):
    list_scans(PNG, tmp_path / "scans.tsv")
    changing(monkeypatch, images, change, pictures / "p1.png", when)
    with pytest.raises(ValueError, match=r"^p1\.png: (changed while it was read; run again|can't be read as an image)"):
        images.gather_images(PNG, IMAGING, tmp_path / "scans.tsv", tmp_path / "images.npy")
    assert not list(tmp_path.glob("*images*"))


def test_files_that_are_only_touched_are_the_same(pictures, tmp_path, monkeypatch):
    changing(monkeypatch, listing, lambda path: path.touch(), pictures / "p1.png", "after")
    changing(monkeypatch, images, lambda path: path.touch(), pictures / "p1.png", "after")
    list_scans(PNG, tmp_path / "scans.tsv")
    images.gather_images(PNG, IMAGING, tmp_path / "scans.tsv", tmp_path / "images.npy")


def save_stack(path: Path) -> None:
    np.save(path, PIXELS)


def save_volume(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(PIXELS, np.eye(4)), path)


def save_tiff(path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(path)


READERS = {
    "one.npy": (save_stack, entry("npy_folder", "*.npy", stacked=False, spacing=None), "npy_folder.check_image"),
    "more.npy": (save_stack, entry("npy_folder", "*.npy", stacked=True, spacing=None), "npy_folder.check_image"),
    "one.nii": (save_volume, entry("nifti_folder", "*.nii", slices=None), "nifti_folder.check_affine"),
    "one.tif": (save_tiff, entry("image_folder", "*.tif"), "image_folder.check_bytes"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_cut_off_after_its_header_was_read_is_named(name, raw, monkeypatch):
    save, settings, step = READERS[name]
    save(raw / name)
    root, scans = find_scans(settings)
    monkeypatch.setattr(f"copylens.data.readers.{step}", lambda *_: cut_off(raw / name))

    def read() -> None:  # in a process of its own, which a memory map would end by a signal
        with pytest.raises(ValueError, match=f"^{name}: can't be read"):
            load_scan(reader_of(settings), root, scans[-1], settings)

    process = multiprocessing.get_context("fork").Process(target=read)
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stacked", [False, True])
def test_values_are_those_that_were_saved_in_either_order(order, stacked, raw):
    saved = np.array(np.arange(60).reshape(3, 4, 5), dtype=">i2", order=order)
    np.save(raw / "one.npy", saved)
    settings = entry("npy_folder", "*.npy", stacked=stacked, spacing=None)
    root, scans = find_scans(settings)
    found = [load_scan(reader_of(settings), root, scan, settings).pixels for scan in scans]
    np.testing.assert_array_equal(found if stacked else found[0], saved)
    assert all(pixels.dtype == np.float32 for pixels in found)
