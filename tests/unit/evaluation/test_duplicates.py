"""A threshold above which hardly any data set without near-duplicates has a pair."""

import numpy as np
import pytest

from copylens.evaluation.thresholds import CHANCE, largest_by_chance


@pytest.mark.parametrize("n", [50, 400])
def test_the_threshold_is_passed_by_the_largest_of_n_with_the_stated_chance(n):
    """On Fisher's scale, where the largest correlations are Gumbel distributed."""
    generator = np.random.default_rng(0)
    values = np.tanh(0.8 + 0.05 * generator.gumbel(size=(1500, n)))
    passed = np.array([row.max() > largest_by_chance(row) for row in values])
    # Median and quartile are estimated, so that it is a little more than that.
    assert CHANCE / 2 < passed.mean() < 3 * CHANCE


def test_a_few_duplicates_hardly_move_the_threshold():
    generator = np.random.default_rng(1)
    values = np.tanh(0.8 + 0.05 * generator.gumbel(size=400))
    alike = values.copy()
    alike[:20] = 1.0
    assert largest_by_chance(values) < largest_by_chance(alike) < 0.9
    assert largest_by_chance(alike) == pytest.approx(largest_by_chance(values), abs=0.04)


def test_similarities_that_are_no_correlations_are_taken_as_they_are():
    generator = np.random.default_rng(2)
    values = 3 + generator.gumbel(size=400)
    expected = 3 - np.log(-np.log((1 - CHANCE) ** (1 / 400)))
    assert largest_by_chance(values) == pytest.approx(expected, rel=0.15) and largest_by_chance(values) > 5
