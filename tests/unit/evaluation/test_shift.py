"""Whether training patients can be told from others without a generator: of one kind they can't, of two they can."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from scipy import ndimage

from copylens.evaluation.shift import LEAST, shift, shift_scores

MARGIN = 0.55  # an area above which patients are of two kinds
CHANGES = {
    "gamma": lambda images: images**1.3,
    "blur": lambda images: ndimage.gaussian_filter(images, (0, 1, 1)),
    "noise": lambda images: np.clip(images + np.random.default_rng(0).normal(0, 0.03, images.shape), 0, 1),
    "mirrored": lambda images: images[..., ::-1].copy(),
}


@pytest.fixture(scope="module")
def chests(real_images) -> np.ndarray:
    """An NIH chest X-ray of each of 480 patients, float [480, 64, 64] in [0, 1]."""
    first: dict[str, Path] = {}
    for path in sorted((real_images / "nih_chestxray").rglob("*.png")):
        first.setdefault(path.name.split("_")[0], path)
    images = [
        np.asarray(PIL.Image.open(path).convert("L").resize((64, 64), PIL.Image.Resampling.BOX), np.float32)
        for path in first.values()
    ]
    stacked = np.stack(images)
    stacked -= stacked.min((1, 2), keepdims=True)
    return stacked / stacked.max((1, 2), keepdims=True)


def told(training: np.ndarray, others: np.ndarray, patients: tuple) -> tuple[float, float, float]:
    return shift(shift_scores(training, others, patients), patients, 0.95)


def halves(images: np.ndarray, seed: int, n: int = 130) -> tuple[np.ndarray, np.ndarray, tuple]:
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order[:n]], images[order[n : 2 * n]], (np.arange(n), np.arange(n))


def test_a_classifier_finds_no_difference_between_patients_of_one_kind(chests):
    found = [told(*halves(chests, seed)) for seed in range(10)]
    assert sum(low > MARGIN for _, low, _ in found) == 0
    assert sum(low <= 0.5 <= high for _, low, high in found) >= 8
    assert abs(np.mean([area for area, _, _ in found]) - 0.5) < 0.05


@pytest.mark.parametrize("change", CHANGES)
def test_another_scanner_is_seen(change, chests):
    for seed in range(3):
        training, others, patients = halves(chests, seed)
        assert told(training, CHANGES[change](others), patients)[1] > MARGIN


def test_volumes_too():
    generator = np.random.default_rng(0)
    images = ndimage.gaussian_filter(generator.random((160, 10, 12, 10)), (0, 1, 1, 1)).astype(np.float32)
    same = told(*halves(images, 0, 80))
    training, others, patients = halves(images, 0, 80)
    blurred = told(training, ndimage.gaussian_filter(others, (0, 0.7, 0.7, 0.7)), patients)
    assert same[1] < MARGIN < blurred[1]


def test_a_patients_images_are_in_one_fold():
    """Ten images each of twelve patients a side, which a classifier knows by heart: no difference of kind."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(12), 10)
    people = ndimage.gaussian_filter(generator.random((24, 16, 16)), (0, 2, 2)).astype(np.float32)
    people = (people - people.min()) / np.ptp(people)
    training, others = people[:12][patients], people[12:][patients]
    assert told(training, others, (patients, patients))[1] < 0.5


def test_few_patients_are_refused():
    images = np.zeros((40, 8, 8), np.float32)
    few = np.arange(40) % (LEAST - 1)
    with pytest.raises(ValueError, match=f"{LEAST - 1} held-out patients are too few for a classifier"):
        shift_scores(images, images, (np.arange(40), few))
