"""Intervals count patients, and leave doubt where there is some."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from audit_cases import POLICY, evidence, of_share
from scipy.stats import binomtest

from copylens.auditing.evidence import SETS, evidence_of, exact_interval, rates
from copylens.auditing.verdict import judge
from copylens.evaluation.intervals import effective_number
from copylens.evaluation.thresholds import tail_threshold


def test_the_exact_interval_is_that_of_clopper_and_pearson():
    for called, n in ((0, 10), (3, 40), (40, 40), (119, 300)):
        wanted = tuple(binomtest(called, n).proportion_ci(0.95, "exact"))
        assert exact_interval(called / n, n, 0.95) == pytest.approx(wanted)
    assert exact_interval(0.0, 0, 0.95) == (0, 1)


def test_many_images_of_one_patient_are_one_patient():
    # Nine patients with one image and one with 91 say little more than one patient does.
    assert 1 < effective_number(pd.Series(["a"] * 91 + list("bcdefghij"))) < 1.3
    assert effective_number(pd.Series(list("abcdef"))) == 6
    found = evidence(of_share(0.0))
    of_five = found.sources.assign(patient=[f"p{row % 5}" for row in range(len(found.sources))])
    narrow, wide = (
        judge(each, POLICY, None)["sensitivity"][0] for each in (found, dataclasses.replace(found, sources=of_five))
    )
    assert (narrow["n"], narrow["rule"]) == (wide["n"], wide["rule"])
    assert wide["low"] < 0.5 < narrow["low"]
    # Most of the planted copies are one patient's.
    patients = ["p0" if row < 45 else f"p{row}" for row in range(len(found.sources))]
    of_one = dataclasses.replace(found, sources=found.sources.assign(patient=patients))
    assert of_one.n_planted == pytest.approx(50**2 / (45**2 + 5))
    rule, other = (judge(each, POLICY, None)["detectors"][-1] for each in (found, of_one))
    assert other["sensitivity_low"] < 0.2 < 0.9 < rule["sensitivity_low"]
    assert other["true_copies_high"] > rule["true_copies_high"]


def test_many_images_of_few_control_patients_leave_the_control_rate_in_doubt():
    found = evidence(of_share(0.0))
    role = found.splits["role"]
    of_five = found.splits.assign(
        patient=np.where(role == "control", [f"c{row % 5}" for row in range(len(role))], found.splits["patient"])
    )
    few = dataclasses.replace(found, splits=of_five)
    # One patient with 296 images, and four with one.
    unequal = found.splits.assign(
        patient=np.where(
            role == "control", [f"c{max(row - 615, 0)}" for row in range(len(role))], found.splits["patient"]
        )
    )
    assert dataclasses.replace(found, splits=unequal).n_independent("control") < 1.1
    lines = [
        next(each for each in judge(one, POLICY, None)["lines"] if each["name"] == "control_rate")
        for one in (found, few)
    ]
    assert lines[0]["value"] == lines[1]["value"]
    assert lines[0]["high"] < 0.05 < 0.5 < lines[1]["high"]
    of_v = found.splits.assign(
        patient=np.where(role == "calibration", [f"v{row % 30}" for row in range(len(role))], found.splits["patient"])
    )
    size = judge(dataclasses.replace(found, splits=of_v), POLICY, None)["lines"]
    assert next(each for each in size if each["name"] == "calibration_size")["outcome"] == "unable"


@pytest.mark.parametrize("decoded", [-3.0, 3.0])
def test_of_two_thresholds_and_two_control_rates_the_larger_one_counts(decoded):
    """A decoder may make real images more alike to training images, or less."""
    found = evidence(of_share(0.0))
    changed = {}
    for name, each in found.detectors.items():
        similarity = dict(each.similarity)
        for role in ("calibration", "control"):
            similarity[f"{role}_decoded"] = each.similarity[role] + decoded
        patient = each.patient | {f"{role}_decoded": each.patient[role] for role in ("calibration", "control")}
        changed[name] = dataclasses.replace(each, similarity=similarity, patient=patient)
    usual = found.detectors["first"].tau()
    assert changed["first"].tau() == pytest.approx(usual + max(decoded, 0))
    assert changed["first"].rare_tau(0.01) == pytest.approx(found.detectors["first"].rare_tau(0.01) + max(decoded, 0))
    called = {name: np.zeros(len(of), bool) for name, of in changed["first"].similarity.items()}
    called["planted"][:] = np.tile(found.is_copy, 2)
    for one, other in (("control", "control_decoded"), ("control_decoded", "control")):
        called[one][:], called[other][:] = False, False
        called[one][:9] = True
        assert rates(dataclasses.replace(found, detectors=changed), called, 0.95)["control_rate"] == 0.03


def test_the_tail_of_new_patients_is_met_by_so_many():
    generator = np.random.default_rng(0)
    passed = {0.01: [], 0.001: []}
    for _ in range(200):
        for rate, shares in passed.items():
            shares.append(
                (generator.exponential(size=20_000) > tail_threshold(generator.exponential(size=240), rate)).mean()
            )
    assert np.median(passed[0.01]) == pytest.approx(0.01, rel=0.2)
    assert np.median(passed[0.001]) == pytest.approx(0.001, rel=0.4)
    correlations = np.tanh(generator.normal(1, 0.2, size=240))
    assert correlations.max() < tail_threshold(correlations, 1e-6) <= 1


def test_fewer_samples_called_than_new_patients_images_leave_some_doubt():
    found = evidence(of_share(0.0))
    called = {name: np.zeros(len(of), bool) for name, of in found.detectors["first"].similarity.items()}
    called["planted"][:] = np.tile(found.is_copy, 2)
    called["control"][:15] = True
    row = rates(found, called, 0.95)
    assert row["true_copies"] == 0 < row["true_copies_high"] < 0.05


@pytest.mark.parametrize("value", ["patient_99999", None, "nobody ", "-1"])
def test_a_sample_of_somebody_unknown_is_an_error_and_not_nobodys(value):
    splits = pd.DataFrame({"patient": ["a", "a", "b", "c"], "role": ["train", "train", "calibration", "control"]})
    sets = [*SETS, "synthetic_to_held_out", "train_to_held_out"]
    nearest = {f"{name}_{what}": np.zeros(1, type) for name in sets for what, type in WHAT.items()}
    samples = pd.DataFrame({"sample": [1, 2, 3], "identical_to": ["nobody", "a", value], "group": [1, 2, 3]})
    with pytest.raises(ValueError, match=rf"samples\.tsv: identical_to has '{value or 'nan|None'}"):
        evidence_of({"one": nearest}, splits, samples, pd.DataFrame(), [], {}, {})
    samples["identical_to"] = ["nobody", "a", "c"]
    found = evidence_of({"one": nearest}, splits, samples, pd.DataFrame(), [], {}, {})
    assert (found.identical_to.tolist(), found.is_held_out.tolist()) == ([-1, 0, -1], [False, False, True])


WHAT = {"similarity": np.float32, "index": int}
