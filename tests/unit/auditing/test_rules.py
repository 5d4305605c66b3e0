"""Both rules of an audit: two detectors that agree, or the combined evidence of all."""

import dataclasses

import numpy as np
import pytest
from audit_cases import N_TRAIN, POLICY, evidence, of_share, whole

from copylens.auditing.evidence import Evidence
from copylens.auditing.verdict import judge

NAMES = ("agreement of two", "combined evidence")


def combined(found: Evidence) -> Evidence:
    return dataclasses.replace(found, rule="combined")


def line(verdict: dict, name: str) -> dict:
    return next(each for each in verdict["lines"] if each["name"] == name)


def test_copies_that_one_of_three_detectors_sees_fail_by_combined_evidence_alone():
    found = evidence(of_share(0.2), alone=True)
    by_agreement, by_combined = judge(found, POLICY, None), judge(combined(found), POLICY, None)
    assert (by_agreement["verdict"], by_combined["verdict"]) == ("NOT ABLE TO SAY", "FAIL")
    assert line(by_combined, "copies")["low"] < 0.2 < line(by_combined, "copies")["high"]
    assert line(by_agreement, "copies")["high"] < 0.2
    assert line(by_combined, "patients")["low"] < 60 / N_TRAIN < line(by_combined, "patients")["high"]


@pytest.mark.parametrize("rule", ["agreement", "combined"])
def test_a_table_has_both_rules_and_the_one_that_decides_is_last(rule):
    verdict = whole(judge(dataclasses.replace(evidence(of_share(0.1)), rule=rule), POLICY, None))
    rows = {row["detector"]: row for row in verdict["detectors"]}
    assert list(rows)[-2:] == (list(NAMES) if rule == "combined" else list(reversed(NAMES)))
    for name in NAMES:
        assert rows[name]["called"] == pytest.approx(0.1, abs=0.02)
        assert rows[name]["sensitivity"] == 1 and rows[name]["control_rate"] < 0.02
    assert line(verdict, "copies")["value"] == list(rows.values())[-1]["true_copies"]


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_where_all_detectors_see_the_copies_both_rules_say_the_same(share):
    found = evidence(of_share(share))
    verdicts = [judge(each, POLICY, None)["verdict"] for each in (found, combined(found))]
    assert verdicts == [("PASS" if share == 0 else "FAIL")] * 2


def test_combined_evidence_calls_one_in_a_hundred_new_patients():
    shares = []
    for seed in range(20):
        found = combined(evidence(of_share(0.0), n_control=1000, seed=seed))
        shares.append(found.copies("control").mean())
    assert 0.003 < np.mean(shares) < 0.02


def test_rarer_thresholds_call_fewer_and_all_name_a_patient_that_a_detector_names():
    found = combined(evidence(of_share(0.3), n_control=1000))
    called = [found.copies("control", rate).mean() for rate in (None, *found.criterion.rarer)]
    assert called[0] >= called[1] >= called[2]
    for name in ("synthetic", "planted"):
        position, patient = found.named_by(name), found.criterion.combined[name][1]
        named = np.stack([each.patient[name] for each in found.detectors.values()])
        hit = position >= 0
        assert hit.any() and (named[position[hit], np.flatnonzero(hit)] == patient[hit]).all()
    copies = of_share(0.3)
    assert (found.nearest_patient("synthetic")[copies >= 0] == copies[copies >= 0]).all()


def test_a_decoder_that_makes_new_patients_more_alike_raises_the_threshold():
    found, changed = combined(evidence(of_share(0.1))), {}
    for name, each in found.detectors.items():
        decoded = {f"{role}_decoded": each.similarity[role] + 2 for role in ("calibration", "control")}
        patient = {f"{role}_decoded": each.patient[role] for role in ("calibration", "control")}
        changed[name] = dataclasses.replace(each, similarity=each.similarity | decoded, patient=each.patient | patient)
    after = dataclasses.replace(found, detectors=changed)
    assert after.copies("control").sum() <= found.copies("control").sum()
    assert after.copies("control_decoded").mean() < 0.03
