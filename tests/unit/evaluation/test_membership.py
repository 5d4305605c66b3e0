"""Membership inference from samples alone: what it finds, what chance gives, and what it never looks at."""

import math

import numpy as np
import pytest
from scipy import ndimage

from copylens.evaluation.membership import LEAST, Attack, attacks, choose, scores, separation, whiten

N, SIDE = {"train": 80, "calibration": 50, "control": 50}, 20


def drawn(seed: int, n_samples: int, likeness: float) -> dict[str, np.ndarray]:
    """Smooth images of T, V and H, and samples that correlate by `likeness` with an image of T each, whitened."""
    generator = np.random.default_rng(seed)

    def images(n: int) -> np.ndarray:
        smooth = ndimage.gaussian_filter(generator.normal(size=(n, SIDE, SIDE)), (0, 1.5, 1.5), mode="wrap")
        rows = smooth.reshape(n, -1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    sets = {name: images(n) for name, n in N.items()}
    fresh = images(n_samples)
    samples = likeness * sets["train"][np.arange(n_samples) % N["train"]] + math.sqrt(1 - likeness**2) * fresh
    return whiten(samples, sets)


def numbered(whitened: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.arange(len(whitened[name])) for name in N}


def attacked(whitened: dict[str, np.ndarray]) -> dict[str, float]:
    patients = numbered(whitened)
    attack = choose(whitened, patients)
    found = [scores(attack, whitened[name], whitened["synthetic"], whitened["calibration"]) for name in N]
    return separation(found[0], found[2], (patients["train"], patients["control"]), 0.95, 0)


def test_a_small_leak_is_found_that_no_sample_shows():
    """Each sample correlates by 0.25 with one training image; others correlate as much by chance."""
    rows = [attacked(drawn(seed, 400, 0.25)) for seed in range(4)]
    assert all(row["auc_low"] > 0.5 for row in rows)
    assert np.mean([row["auc"] for row in rows]) > 0.75


def test_samples_of_nobody_give_nobody_away():
    rows = [attacked(drawn(seed, 400, 0.0)) for seed in range(8)]
    assert sum(row["auc_low"] <= 0.5 <= row["auc_high"] for row in rows) >= 7
    assert abs(np.mean([row["auc"] for row in rows]) - 0.5) < 0.04
    assert np.mean([row["tpr_at_5fpr"] for row in rows]) < 0.12


def test_the_choice_of_the_attack_does_not_see_control_images():
    whitened = drawn(0, 400, 0.2)
    chosen = choose(whitened, numbered(whitened))
    del whitened["control"]
    assert choose(whitened, {name: np.arange(len(whitened[name])) for name in ("train", "calibration")}) == chosen


def test_an_image_is_no_reference_of_itself_nor_of_its_patient():
    whitened = drawn(1, 300, 0.0)
    v, attack = whitened["calibration"], Attack(64, math.inf, relative=True)
    patients = np.arange(len(v)) // 2  # two images each
    own = scores(attack, v, whitened["synthetic"], v, (patients, patients))
    for row in (0, 7):
        others = v[patients != patients[row]]
        assert own[row] == pytest.approx(scores(attack, v[row : row + 1], whitened["synthetic"], others)[0], abs=1e-6)


def test_blocks_do_not_change_scores(monkeypatch):
    whitened = drawn(2, 300, 0.1)
    v, patients, attack = whitened["calibration"], np.arange(50) // 2, Attack(64, 2.0, relative=True)
    whole = scores(attack, v, whitened["synthetic"], v, (patients, patients))
    monkeypatch.setattr("copylens.evaluation.membership.BLOCK", 7)
    np.testing.assert_allclose(scores(attack, v, whitened["synthetic"], v, (patients, patients)), whole, atol=1e-6)


def test_a_patients_images_count_once():
    """Ten images of each patient make no interval narrower than ten times fewer images of as many patients."""
    generator = np.random.default_rng(0)
    of_patient = generator.normal(0.4, 1, 20), generator.normal(0, 1, 20)
    few = separation(*of_patient, (np.arange(20), np.arange(20)), 0.95, 0)
    many = separation(*(np.repeat(row, 10) for row in of_patient), (np.arange(200) // 10,) * 2, 0.95, 0)
    assert many["auc"] == pytest.approx(few["auc"])
    assert many["auc_high"] - many["auc_low"] > 0.95 * (few["auc_high"] - few["auc_low"])
    assert (many["n_members"], many["n_others"]) == (200, 200)


def test_perfect_scores_separate_everybody():
    row = separation(np.arange(30) + 100.0, np.arange(30.0), (np.arange(30), np.arange(30)), 0.95, 0)
    assert row["auc"] == row["tpr_at_1fpr"] == row["tpr_at_5fpr"] == 1


def test_few_samples_attack_nobody():
    sets = {"train": np.eye(LEAST)}
    with pytest.raises(ValueError, match=f"{LEAST - 1} samples are too few for an attack; at least {LEAST}"):
        whiten(np.random.default_rng(0).normal(size=(LEAST - 1, LEAST)), sets)
    few = whiten(np.random.default_rng(0).normal(size=(LEAST, LEAST)), sets)["train"].shape[1]
    assert {attack.components for attack in attacks(few)} == {few}
