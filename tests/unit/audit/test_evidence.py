"""Intervals count patients, and leave doubt where there is some."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from audit_cases import POLICY, evidence, of_share
from scipy.stats import binomtest

from copylens.audit.evidence import exact_interval, independent, rates
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


@pytest.mark.parametrize("decoded", [0, 60])
def test_the_larger_control_rate_of_raw_and_decoded_images_counts(decoded):
    """30 of 300 control images are called as they are; after the decoder none or 60."""
    found = evidence(of_share(0.2))
    called = {name: np.zeros(len(of), bool) for name, of in found.found["first"].similarity.items()}
    called["planted"][:] = np.tile(found.is_copy, 2)
    called["control"][:30] = True
    called["control_decoded"] = np.arange(300) < decoded
    row = rates(found, called, 0.95)
    assert row["control_rate"] == max(30, decoded) / 300
    assert row["control_rate_low"] < row["control_rate"] < row["control_rate_high"]


def test_the_larger_threshold_of_raw_and_decoded_calibration_images_counts():
    found = evidence(of_share(0.2)).found["first"]
    raw = found.tau()
    for shift in (-3, 3):
        both = found.similarity | {"calibration_decoded": found.similarity["calibration"] + shift}
        assert dataclasses.replace(found, similarity=both).tau() == pytest.approx(raw + max(shift, 0))
