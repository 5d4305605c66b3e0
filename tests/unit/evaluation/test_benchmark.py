"""Every measure of a benchmark, and of each resampled set, is what scikit-learn gives."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from copylens.evaluation.benchmark import METRICS, _measure


@pytest.mark.parametrize("ties", [False, True])
def test_measures_are_scikit_learns(ties):
    generator = np.random.default_rng(0)
    is_copy = np.arange(90) < 50
    score = generator.normal(size=90) + 0.7 * is_copy
    score = np.round(score) if ties else score
    same = generator.random((90, 20)) < 0.1
    weights = np.ones((40, 90), np.int64)
    weights[1:] = generator.multinomial(90, np.full(90, 1 / 90), size=39)
    row = _measure(score, is_copy, same, 0.6, weights)
    expected = np.array([measures(score, is_copy, same, 0.6, weight) for weight in weights])
    for number, metric in enumerate(METRICS):
        low, high = np.percentile(expected[1:, number], [2.5, 97.5])
        value = expected[0, number]
        found = [row[metric], row[f"{metric}_low"], row[f"{metric}_high"]]
        assert found == pytest.approx([value, min(low, value), max(high, value)]), metric


def measures(score, is_copy, same, tau, weight) -> list[float]:
    false, true, _ = roc_curve(is_copy, score, sample_weight=weight, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(is_copy, score, sample_weight=weight)
    of_copies, of_others = is_copy * weight, ~is_copy * weight
    return [
        roc_auc_score(is_copy, score, sample_weight=weight),
        average_precision_score(is_copy, score, sample_weight=weight),
        true[false <= 0.05].max(),
        true[false <= 0.01].max(),
        np.nanmax(2 * precision * recall / (precision + recall + 1e-12)),
        np.average(score > tau, weights=of_copies),
        np.average(score > tau, weights=of_others),
        np.average(same[:, 0], weights=of_copies),
        np.average(same.any(axis=1), weights=of_copies),
    ]
