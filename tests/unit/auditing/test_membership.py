"""The interval of the membership test counts patients, at the level that is asked for."""

import numpy as np
import pytest
from audit_cases import losses_of

from copylens.auditing.membership import membership
from copylens.evaluation.areas import auc_interval


def test_the_interval_is_as_wide_as_the_areas_spread():
    """A closed form (Hanley and McNeil 1982) of one image a patient; from the 10th percentile it were 0.65 as wide."""
    losses = losses_of(np.random.default_rng(0), n=150)
    losses["train"] *= 0.9
    for level, z in ((0.95, 1.96), (0.8, 1.2816)):
        found = membership(losses, level, 0)
        scores = [
            -(losses[name] / np.concatenate([losses["train"], losses["held_out"]]).mean(axis=0)).mean(axis=1)
            for name in ("train", "held_out")
        ]
        area, low, high = auc_interval(*scores, 150, 150, z)
        assert found["auc"] == pytest.approx(area)
        assert found["auc_high"] - found["auc_low"] == pytest.approx(high - low, rel=0.15)


def test_many_images_of_few_patients_say_little():
    losses = losses_of(np.random.default_rng(0), n=200)
    # Ten patients on either side, whose twenty images all have one loss.
    for name, first in (("train", 0), ("held_out", 10)):
        losses[name] = np.repeat(losses[name][:10], 20, axis=0)
        losses[f"{name}_patient"] = first + np.repeat(np.arange(10), 20)
    few = membership(losses, 0.95, 0)
    each = losses | {"train_patient": np.arange(200), "held_out_patient": np.arange(200, 400)}
    many = membership(each, 0.95, 0)
    assert few["auc"] == many["auc"]
    assert few["auc_high"] - few["auc_low"] > 2.5 * (many["auc_high"] - many["auc_low"])
