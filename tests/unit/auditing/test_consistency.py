"""A verdict that hangs on which held-out patients set the thresholds is none."""

import dataclasses

import numpy as np
import pytest
from audit_cases import N_TRAIN, POLICY, evidence, of_share

from copylens.auditing.consistency import HALVINGS, consistency, halvings
from copylens.auditing.evidence import Evidence
from copylens.auditing.findings import Findings
from copylens.auditing.verdict import judge


def line(verdict: dict) -> dict:
    return next(line for line in verdict["lines"] if line["name"] == "consistency")


def marked(found: Evidence) -> Evidence:
    """Each held-out image's similarity is its row, and decoded it is a thousand more."""
    n = found.n_patients("calibration")
    rows = {"calibration": np.arange(n), "control": np.arange(n, n + found.n_patients("control"))}
    detectors = {}
    for name, each in found.detectors.items():
        similarity = each.similarity | rows | {f"{role}_decoded": 1000 + of for role, of in rows.items()}
        patient = each.patient | {f"{role}_decoded": each.patient[role] for role in rows}
        detectors[name] = Findings(similarity, patient)
    return dataclasses.replace(found, detectors=detectors)


def test_each_halving_moves_patients_with_their_images():
    found = marked(evidence(of_share(0.0), n_calibration=40, n_control=60))
    seen = set()
    for other in halvings(found, 0):
        assert (other.n_patients("calibration"), other.n_patients("control")) == (40, 60)
        held_out = other.splits["role"][other.splits["role"] != "train"].to_numpy()
        for detector in other.detectors.values():
            for role in ("calibration", "control"):
                rows = np.flatnonzero(held_out == role)
                assert detector.similarity[role].tolist() == rows.tolist()
                assert detector.similarity[f"{role}_decoded"].tolist() == (1000 + rows).tolist()
        seen.add(tuple(other.detectors["first"].similarity["calibration"]))
        assert (other.splits["role"] == "train").sum() == N_TRAIN
    assert len(seen) == HALVINGS


def test_a_patients_images_stay_together():
    found = evidence(of_share(0.0), n_calibration=40, n_control=60)
    names = found.splits["patient"].to_numpy().copy()
    names[N_TRAIN:] = [f"p{row // 2}" for row in range(100)]
    for other in halvings(dataclasses.replace(found, splits=found.splits.assign(patient=names)), 1):
        roles = other.splits[other.splits["role"] != "train"].groupby("patient")["role"].nunique()
        assert roles.max() == 1 and other.n_patients("calibration") == 20


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_clear_verdicts_are_consistent(share):
    verdict = judge(evidence(of_share(share)), POLICY, None)
    assert verdict["verdict"] == ("FAIL" if share else "PASS")
    assert (line(verdict)["outcome"], line(verdict)["value"]) == ("pass", 0)


def test_a_pass_that_hangs_on_the_calibration_patients_is_none():
    """All held-out images that happen to be very similar are calibration images: they raise the thresholds."""
    found = evidence(of_share(0.0), n_calibration=150, n_control=150)
    detectors = {}
    for name, each in found.detectors.items():
        similarity = each.similarity | {"synthetic": each.similarity["synthetic"] + 1.5}
        similarity["calibration"] = each.similarity["calibration"] + 4 * (np.arange(150) < 12)
        similarity["planted"] = each.similarity["planted"] + np.where(each.similarity["planted"] > 3, 4, 0)
        patient = each.patient | {"synthetic": np.arange(len(each.patient["synthetic"])) % N_TRAIN}
        detectors[name] = Findings(similarity, patient)
    verdict = judge(dataclasses.replace(found, detectors=detectors), POLICY, None)
    assert verdict["verdict"] == verdict["quarantine"]["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict)["outcome"] == "unable" and line(verdict)["value"] > 0.2
    assert any("hangs on which of them" in need for need in verdict["needed"])


def test_the_line_by_hand():
    assert consistency("PASS", ["PASS"] * 8 + ["FAIL"] * 2).outcome == "pass"
    assert consistency("PASS", ["PASS"] * 7 + ["FAIL"] * 3).outcome == "unable"
    assert consistency("PASS", ["PASS"] * 5 + ["NOT ABLE TO SAY"] * 5).outcome == "pass"
    assert consistency("FAIL", ["FAIL"] * 4 + ["NOT ABLE TO SAY"] * 6).outcome == "unable"
    assert consistency("NOT ABLE TO SAY", []).outcome == "pass"
