"""Intervals count patients, and leave doubt where there is some."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from audit_cases import POLICY, evidence, of_share
from scipy.stats import binomtest

from copylens.audit.evidence import SETS, evidence_of, exact_interval, independent, rates
from copylens.audit.verdict import judge


def test_the_exact_interval_is_that_of_clopper_and_pearson():
    for called, n in ((0, 10), (3, 40), (40, 40), (119, 300)):
        wanted = tuple(binomtest(called, n).proportion_ci(0.95, "exact"))
        assert exact_interval(called / n, n, 0.95) == pytest.approx(wanted)
    assert exact_interval(0.0, 0, 0.95) == (0, 1)


def test_many_images_of_one_patient_are_one_patient():
    # Nine patients with one image and one with 91 say little more than one patient does.
    assert 1 < independent(pd.Series(["a"] * 91 + list("bcdefghij"))) < 1.3
    assert independent(pd.Series(list("abcdef"))) == 6
    found = evidence(of_share(0.0))
    of_five = found.sources.assign(patient=[f"p{row % 5}" for row in range(len(found.sources))])
    narrow, wide = (
        judge(each, POLICY, None)["sensitivity"][0] for each in (found, dataclasses.replace(found, sources=of_five))
    )
    assert (narrow["n"], narrow["rule"]) == (wide["n"], wide["rule"])
    assert wide["low"] < 0.5 < narrow["low"]


def test_fewer_samples_called_than_innocent_images_leave_some_doubt():
    found = evidence(of_share(0.0))
    called = {name: np.zeros(len(of), bool) for name, of in found.found["first"].similarity.items()}
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
        evidence_of({"one": nearest}, splits, samples, pd.DataFrame(), [], {})
    samples["identical_to"] = ["nobody", "a", "c"]
    assert evidence_of({"one": nearest}, splits, samples, pd.DataFrame(), [], {}).identical_to.tolist() == [-1, 0, -1]


WHAT = {"similarity": np.float32, "index": int}
