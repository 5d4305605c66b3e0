"""Copies found in arrays, by one call."""

import doctest

import numpy as np
import pytest
import torch

import copylens
from copylens.evaluation import copies


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(90, 16, 16)).cumsum(1).cumsum(2).astype(np.float32)


def test_the_docstrings_example_is_right():
    assert doctest.testmod(copies).failed == 0


@pytest.mark.parametrize("detector", ["pixel_correlation", {"kind": "aligned_correlation", "shortlist": 8}])
def test_replayed_images_are_copies_and_others_are_not(images, detector, capsys):
    samples = np.concatenate([images[:6], images[80:]])
    table = copylens.find_copies(samples, training=images[:40], calibration=images[40:80], detector=detector)
    assert table["training"][:6].tolist() == list(range(6))
    assert table["copy"][:6].all() and not table["copy"][6:].any()
    assert table.attrs["threshold"] < 1
    assert capsys.readouterr().out == ""


def test_tensors_and_other_ranges_give_the_same(images):
    given = images[:3], images[:40], images[40:80]
    one, other = (
        copylens.find_copies(*(convert(part) for part in given), detector="pixel_correlation")
        for convert in (torch.from_numpy, lambda part: 1000 * part - 7)
    )
    assert np.allclose(one["similarity"], other["similarity"], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, t, v: (s, t, v[:5]), "calibration: has 5 images"),
        (lambda s, t, v: (s[:, :8], t, v), "synthetic: has images of 8x16, the training images are 16x16"),
        (lambda s, t, v: (s[0], t, v), r"synthetic: has shape \[16, 16\]"),
        (lambda s, t, v: (s, t * np.nan, v), "training: holds values that are not finite"),
        (lambda s, t, v: (s, 0 * t, v), "training: every pixel has the same value"),
    ],
)
def test_a_mistake_is_named(images, change, words):
    with pytest.raises(ValueError, match=words):
        copylens.find_copies(*change(images[:3], images[:40], images[40:80]), detector="pixel_correlation")


def test_an_unknown_detector_is_named(images):
    with pytest.raises(ValueError, match="unknown kind 'pixel_corelation'"):
        copylens.find_copies(images[:3], images[:40], images[40:80], detector="pixel_corelation")


def test_folders_give_the_names_of_their_files(images, tmp_path):
    folders = {"training": images[:20], "calibration": images[20:40], "synthetic": images[[3, 50]]}
    for part, of_part in folders.items():
        (tmp_path / part).mkdir()
        for number, image in enumerate(of_part):
            np.save(tmp_path / part / f"{part} {number:02d}.npy", image)
    table = copylens.find_copies(**{part: tmp_path / part for part in folders}, detector="pixel_correlation")
    assert table["copy"].tolist() == [True, False]
    assert table.loc[0, ["sample_file", "training_file"]].tolist() == ["synthetic 00.npy", "training 03.npy"]


def test_a_folder_without_images_is_named(images, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        copylens.find_copies(tmp_path / "none", tmp_path / "none", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="give three folders, or three arrays"):
        copylens.find_copies(images[:3], tmp_path / "none", images[3:])
