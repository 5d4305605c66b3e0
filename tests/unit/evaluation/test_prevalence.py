"""The corrected share of copies is right on average, and its interval covers as often as it says."""

import numpy as np
import pytest
from scipy.stats import beta

from copylens.evaluation.prevalence import highest_false_positive_rate, true_share


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize(("sensitivity", "false_positives"), [(0.9, 0.05), (0.5, 0.05), (0.8, 0.2)])
def test_the_interval_covers_the_true_share(share, sensitivity, false_positives):
    generator = np.random.default_rng(0)
    n, n_planted, n_negatives, draws = 200, 100, 100, 2000
    called = generator.binomial(n, share * sensitivity + (1 - share) * false_positives, draws) / n
    found = generator.binomial(n_planted, sensitivity, draws) / n_planted
    wrongly = generator.binomial(n_negatives, false_positives, draws) / n_negatives
    answers = np.array(
        [true_share(c, n, f, n_planted, w, n_negatives) for c, f, w in zip(called, found, wrongly, strict=True)]
    )
    covered = (answers[:, 1] <= share) & (share <= answers[:, 2])
    assert covered.mean() >= 0.93
    assert ((answers[:, 1] <= answers[:, 0]) & (answers[:, 0] <= answers[:, 2])).all()
    assert np.median(answers[:, 0]) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("n_planted", "n_negatives"), [(15, 100), (100, 15)])
def test_few_planted_copies_or_few_control_images_leave_more_doubt(n_planted, n_negatives):
    """With a point in the place of a share of 15, the interval of 5,000 samples covers in half of the cases."""
    generator = np.random.default_rng(2)
    share, sensitivity, false_positives, n, draws = 0.6, 0.7, 0.2, 5000, 1000
    called = generator.binomial(n, share * sensitivity + (1 - share) * false_positives, draws) / n
    found = generator.binomial(n_planted, sensitivity, draws) / n_planted
    wrongly = generator.binomial(n_negatives, false_positives, draws) / n_negatives
    answers = [true_share(c, n, f, n_planted, w, n_negatives) for c, f, w in zip(called, found, wrongly, strict=True)]
    low, high = np.nan_to_num(answers, nan=share).T[1:]
    assert ((low <= share) & (share <= high)).mean() >= 0.93


def test_a_detector_that_finds_nothing_cannot_say():
    assert np.isnan(true_share(0.05, 200, 0.05, 100, 0.05, 100)).all()
    assert np.isnan(true_share(0.05, 200, 0.04, 100, 0.05, 100)).all()


def test_few_calibration_patients_may_have_many_false_positives():
    generator = np.random.default_rng(1)
    for n in (20, 60, 200):
        taus = np.percentile(generator.uniform(size=(4000, n)), 95, axis=1)
        false_positives = 1 - taus
        assert (false_positives <= highest_false_positive_rate(n)).mean() >= 0.97
    # Beta(2, 19) is the share above the 19th of 20 values.
    assert highest_false_positive_rate(20) == pytest.approx(beta.ppf(0.975, 2, 19))
    assert highest_false_positive_rate(20) > 0.2 > highest_false_positive_rate(60) > 0.1
