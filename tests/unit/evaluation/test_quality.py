"""Quality metrics say what they should of samples whose quality is known, and none of them minds copies."""

import numpy as np
import pandas as pd
import pytest

from copylens.evaluation import quality


@pytest.fixture
def sets() -> dict[str, np.ndarray]:
    """Features of T, of held-out images, and of four generators: perfect, blurred, narrow and one that copies T."""
    generator = np.random.default_rng(0)
    drawn = {name: generator.normal(size=(150, 6)) for name in ("training", "held_out", "perfect")}
    return drawn | {
        "shifted": generator.normal(size=(150, 6)) + 1.5,
        "narrow": 0.1 * generator.normal(size=(150, 6)),
        "copycat": drawn["training"] + 0.01 * generator.normal(size=(150, 6)),
    }


@pytest.mark.parametrize("distance", [quality.frechet_distance, quality.kernel_distance])
def test_distances_rank_generators_and_like_the_copycat_best(sets, distance):
    of = {name: distance(sets[name], sets["training"]) for name in sets}
    assert of["copycat"] < of["perfect"] < min(of["shifted"], of["narrow"])


def test_precision_and_recall_tell_poor_images_from_few_kinds_of_images(sets):
    narrow = quality.prdc_scores(sets["narrow"], sets["training"])
    shifted = quality.prdc_scores(sets["shifted"], sets["training"])
    perfect = quality.prdc_scores(sets["perfect"], sets["training"])
    assert narrow["precision"] > 0.95 and narrow["recall"] < 0.2
    assert shifted["precision"] < perfect["precision"] and perfect["coverage"] > 0.8


def test_copies_are_not_authentic(sets):
    assert quality.authentic_share(sets["copycat"], sets["training"]) == 0
    assert quality.authentic_share(sets["perfect"], sets["training"]) > 0.4


def test_data_copying_is_far_below_zero_for_copies_alone(sets):
    arguments = sets["training"], sets["held_out"], 0
    assert quality.data_copying(sets["copycat"], *arguments) < -3
    assert abs(quality.data_copying(sets["perfect"], *arguments)) < 2
    assert np.isnan(quality.data_copying(sets["copycat"][:5], *arguments))


def test_held_out_patients_are_halved_by_patient():
    roles = ["train"] * 4 + ["calibration"] * 12 + ["control"] * 12
    splits = pd.DataFrame({"patient": np.repeat(range(14), 2), "role": roles})
    halvings = quality.HeldOut(np.zeros((28, 2)), splits).halvings
    assert len({tuple(sorted(first)) for first, _ in halvings}) > 1
    for first, second in halvings:
        assert sorted([*first, *second]) == list(range(4, 28)) and len(first) == len(second) == 12
        assert not set(splits["patient"][first]) & set(splits["patient"][second])


def test_the_interval_over_held_out_patients_is_as_wide_as_other_patients_make_it(sets):
    """Against the spread of the distances that 60 draws of the patients give; two images of each."""
    generator = np.random.default_rng(1)
    splits = pd.DataFrame({"patient": np.repeat(range(140), 2), "role": ["calibration"] * 140 + ["control"] * 140})
    middles, widths = [], []
    for _ in range(60):
        features = np.repeat(generator.normal(size=(140, 6)), 2, axis=0) + 0.3 * generator.normal(size=(280, 6))
        low, high = quality.HeldOut(features, splits).interval(sets["shifted"])
        middles.append((low + high) / 2)
        widths.append(high - low)
    assert np.mean(widths) == pytest.approx(2 * 2.26 * np.std(middles), rel=0.25)  # t, 9 degrees of freedom


def test_held_out_patients_dont_reward_copies(sets):
    """Who copies T is no nearer to them than T is."""
    distance = {name: quality.frechet_distance(sets[name], sets["held_out"]) for name in sets}
    assert distance["copycat"] > max(
        distance["perfect"], 5 * quality.frechet_distance(sets["copycat"], sets["training"])
    )
    assert distance["perfect"] < min(distance["shifted"], distance["narrow"])


@pytest.mark.parametrize("grid", [(16, 16), (8, 8, 8), (64, 64)])
def test_images_that_are_all_the_same_have_no_diversity(grid):
    generator = np.random.default_rng(1)
    one = generator.random(grid, dtype=np.float32)
    assert quality.self_similarity(np.stack([one] * 8), 0) == pytest.approx(1, abs=1e-4)
    assert quality.self_similarity(generator.random((8, *grid), dtype=np.float32), 0) < 0.5
