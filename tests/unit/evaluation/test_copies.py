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
