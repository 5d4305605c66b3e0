"""Areas and shares of many resampled sets at once are scikit-learn's of each."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from copylens.evaluation import areas
from copylens.evaluation.areas import FALSE_POSITIVES, areas_and_found, auc_interval


@pytest.mark.parametrize("ties", [False, True])
def test_each_draw_is_what_scikit_learn_gives_for_its_weights(ties, monkeypatch):
    generator = np.random.default_rng(0)
    member = np.arange(130) < 70
    score = generator.normal(size=130) + 0.5 * member
    score = np.round(score) if ties else score
    times = generator.multinomial(130, np.full(130, 1 / 130), size=9)
    monkeypatch.setattr(areas, "CELLS", 300)  # in several blocks
    for row, drawn in zip(areas_and_found(member, score, times), times, strict=True):
        false, true, _ = roc_curve(member, score, sample_weight=drawn, drop_intermediate=False)
        found = [true[false <= rate + 1e-9].max() for rate in FALSE_POSITIVES]
        assert row == pytest.approx([roc_auc_score(member, score, sample_weight=drawn), *found])


def test_the_area_is_scikit_learns():
    generator = np.random.default_rng(1)
    above, below = np.round(generator.normal(0.4, 1, 50), 1), np.round(generator.normal(size=80), 1)
    area, low, high = auc_interval(above, below, 50, 80, 1.96)
    assert area == pytest.approx(roc_auc_score(np.arange(130) < 50, np.concatenate([above, below])))
    assert low < area < high
