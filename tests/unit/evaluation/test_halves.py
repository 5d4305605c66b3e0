"""Linkability and inference from samples: who is linked and shown, and how often chance does it."""

import numpy as np
import pytest
from scipy import ndimage

from copylens.evaluation.halves import guessed, linked, whitened_halves
from copylens.evaluation.membership import LEAST

N, SIDE = 60, 16


def images(n: int, seed: int) -> np.ndarray:
    """Smooth images whose halves have something in common, float [n, 16, 16]."""
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(n, SIDE, SIDE)), (0, 1.5, 1.5), mode="wrap")
    return smooth / smooth.std()


def halves(training: np.ndarray, samples: np.ndarray) -> dict:
    return whitened_halves(samples, {"train": training, "control": images(N, 9)})


def test_both_halves_of_a_repeated_image_lead_to_it_and_show_each_other():
    training = images(N, 0)
    found = halves(training, np.concatenate([training + 0.05 * images(N, 1), images(3 * N, 2)]))
    assert linked(found["train"], found["synthetic"]).all()
    assert linked(found["control"], found["synthetic"]).mean() < 0.3
    tau = np.percentile(guessed(found["control"], found["synthetic"])[0], 95)
    shown, naive = guessed(found["train"], found["synthetic"])
    assert (shown > tau).all() and (naive > tau).mean() < 0.1


def test_samples_of_nobody_link_and_show_training_images_as_others():
    found = halves(images(N, 0), images(4 * N, 2))
    rates = {name: linked(found[name], found["synthetic"]).mean() for name in ("train", "control")}
    assert abs(rates["train"] - rates["control"]) < 0.12
    likeness = {name: guessed(found[name], found["synthetic"])[0].mean() for name in rates}
    assert likeness["train"] == pytest.approx(likeness["control"], abs=0.1)


def test_half_an_image_repeated_alone_shows_nothing_of_the_other():
    """Samples that show the first half of a patient beside the second half of somebody else."""
    training = images(N, 0)
    chimeras = np.concatenate([training[..., : SIDE // 2], np.roll(training, 1, axis=0)[..., SIDE // 2 :]], axis=2)
    found = halves(training, np.concatenate([chimeras, images(2 * N, 2)]))
    assert linked(found["train"], found["synthetic"]).mean() < 0.1
    tau = np.percentile(guessed(found["control"], found["synthetic"])[0], 95)
    assert (guessed(found["train"], found["synthetic"])[0] > tau).mean() < 0.15


def test_repeats_of_one_image_are_found_together():
    """Each training image is given by three samples that differ by rounding: either may come first."""
    training = images(N, 0)
    samples = np.concatenate([np.tile(training, (3, 1, 1)), images(2 * N, 2)])
    found = halves(training, samples + 1e-7 * np.random.default_rng(0).normal(size=samples.shape))
    assert linked(found["train"], found["synthetic"]).all()


def test_blocks_change_nothing(monkeypatch):
    found = halves(images(N, 0), images(2 * N, 2))
    whole = linked(found["train"], found["synthetic"]), *guessed(found["train"], found["synthetic"])
    monkeypatch.setattr("copylens.evaluation.halves.BLOCK", 7)
    again = linked(found["train"], found["synthetic"]), *guessed(found["train"], found["synthetic"])
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_volumes_are_cut_along_the_last_axis():
    generator = np.random.default_rng(0)
    volumes = generator.normal(size=(LEAST + 16, 4, 5, 7))
    found = whitened_halves(volumes, {"train": volumes[:10]})
    assert linked(found["train"], found["synthetic"]).all()
    assert {half.shape[0] for half in found["train"]} == {10}


def test_few_samples_are_refused():
    with pytest.raises(ValueError, match="too few for an attack"):
        halves(images(N, 0), images(LEAST - 1, 2))
