"""How many patients and samples it takes to be able to PASS."""

import numpy as np
import pytest
from audit_cases import POLICY, evidence

from copylens.auditing.planning import needed
from copylens.auditing.verdict import judge


def test_the_least_numbers_pass_and_fewer_do_not():
    least = needed(POLICY, 1.0, 100)
    nobody = np.full(least.samples, -1)
    sizes = {"n_calibration": least.calibration_patients, "n_control": 200}
    outcome = {line["name"]: line["outcome"] for line in judge(evidence(nobody, **sizes), POLICY, None)["lines"]}
    assert outcome["calibration_size"] == "pass"
    fewer = sizes | {"n_calibration": least.calibration_patients - 1}
    outcome = {line["name"]: line["outcome"] for line in judge(evidence(nobody, **fewer), POLICY, None)["lines"]}
    assert outcome["calibration_size"] == "unable"
    assert least.held_out_patients == 2 * least.calibration_patients


def test_a_detector_that_misses_more_needs_more():
    numbers = [needed(POLICY, sensitivity, 100) for sensitivity in (1.0, 0.9, 0.85)]
    assert [row.samples for row in numbers] == sorted(row.samples for row in numbers)
    assert [row.training_patients for row in numbers] == sorted(row.training_patients for row in numbers)


@pytest.mark.parametrize("sensitivity", [0.5, 0.75])
def test_a_detector_below_the_policy_never_passes(sensitivity):
    assert needed(POLICY, sensitivity, 100).training_patients is None


def test_a_stricter_membership_test_takes_more_patients_of_both_kinds():
    usual, strict = (needed(POLICY | {"membership_samples": limit}, 1.0, 100) for limit in (0.64, 0.6))
    assert usual.training_patients < strict.training_patients
    assert usual.held_out_patients < strict.held_out_patients
