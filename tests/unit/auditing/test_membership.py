"""The membership test of weights: V chooses the attack, H tests it, and its interval counts patients and the choice."""

import dataclasses

import numpy as np
import pytest
from audit_cases import errors_of

from copylens.auditing.membership import ATTACKS, Attack, membership, scores
from copylens.evaluation.areas import auc_interval


def test_the_interval_is_as_wide_as_the_areas_spread():
    """A closed form (Hanley and McNeil 1982) of one image a patient."""
    errors = errors_of(np.random.default_rng(0), n=150, member=0.5)
    for level, z in ((0.95, 1.96), (0.8, 1.2816)):
        found = membership(errors, level, 0)
        score = scores(Attack(**found["attack"]), errors)
        area, low, high = auc_interval(score["train"], score["control"], 150, 75, z)
        assert found["auc"] == pytest.approx(area)
        assert found["auc_high"] - found["auc_low"] == pytest.approx(high - low, rel=0.25)


def test_many_images_of_few_patients_say_little():
    errors = errors_of(np.random.default_rng(0), n=200)
    repeated = {}
    # Ten patients on either side, whose images all have one error.
    for key, values in errors.items():
        n, of_each = len(values), 20 if key.startswith("train") else 10
        repeated[key] = np.repeat(values[: n // of_each], of_each, axis=0)
    few = membership(repeated, 0.95, 0)
    many = membership(repeated | {key: of for key, of in errors.items() if key.endswith("patient")}, 0.95, 0)
    assert few["auc_high"] - few["auc_low"] > 2.0 * (many["auc_high"] - many["auc_low"])


@pytest.mark.parametrize("error", ["loss", "middle", "norm"])
def test_the_error_that_tells_is_chosen(error):
    errors = errors_of(np.random.default_rng(1))
    errors[f"train_{error}"] *= 0.6
    found = membership(errors, 0.95, 0)
    assert found["attack"]["error"] == error and found["auc_low"] > 0.6
    errors = errors_of(np.random.default_rng(1))
    errors[f"train_{error}"][:, 9:] *= 0.6
    assert membership(errors, 0.95, 0)["attack"] == {"error": error, "levels": "much", "calibrated": False}


def test_an_error_that_depends_on_the_image_is_calibrated():
    """Some images are harder than others, by far more than members differ from others."""
    generator = np.random.default_rng(2)
    errors = errors_of(generator, member=0.8, shape=50)
    for name in ("train", "calibration", "control"):
        errors[f"{name}_loss"] *= np.exp(errors[f"{name}_difficulty"][:, :1])
    found = membership(errors, 0.95, 0)
    assert found["attack"]["calibrated"] and found["auc"] > 0.9
    plain = scores(Attack("loss", "all", False), errors)
    assert auc_interval(plain["train"], plain["control"], 400, 200, 0)[0] < 0.65


def test_control_images_take_no_part_in_the_choice():
    errors = errors_of(np.random.default_rng(3), member=0.8)
    other = {
        key: of[::-1] * 3 if key.startswith("control") and "patient" not in key else of for key, of in errors.items()
    }
    assert membership(errors, 0.95, 0)["attack"] == membership(other, 0.95, 0)["attack"]


def test_the_choice_among_attacks_that_find_nothing_is_counted():
    """Networks that learnt nothing: the intervals hold a half, although the best of many attacks was chosen."""
    rows = [membership(errors_of(np.random.default_rng(seed), n=80), 0.95, seed) for seed in range(12)]
    assert sum(row["auc_low"] <= 0.5 <= row["auc_high"] for row in rows) >= 11
    assert abs(np.mean([row["auc"] for row in rows]) - 0.5) < 0.06


def test_calibration_images_are_predicted_from_other_patients():
    """A regression that saw its own images would leave V no error, and everybody else some."""
    errors = errors_of(np.random.default_rng(4), n=80)
    for name in ("train", "calibration", "control"):
        errors[f"{name}_difficulty"] = np.random.default_rng(5).normal(size=(len(errors[f"{name}_loss"]), 30))
    spread = {name: of.std() for name, of in scores(Attack("loss", "all", True), errors).items()}
    assert spread["calibration"] == pytest.approx(spread["control"], rel=0.35)


def test_every_attack_has_its_words():
    from copylens.reporting.audit_report import paragraphs

    for attack in ATTACKS:
        named = dataclasses.asdict(attack)
        assert named["error"] in paragraphs.ATTACKS and named["levels"] in paragraphs.LEVELS
