"""From findings whose answer is known to the verdict, the quarantine and the exit code."""

import dataclasses
import json

import jsonschema
import numpy as np
import pytest
import yaml
from audit_cases import POLICY, evidence, of_share

from copylens.audit.evidence import chao1, exposure_of, named_patients
from copylens.audit.gate import SCHEMA, gate
from copylens.audit.membership import membership
from copylens.audit.verdict import judge, to_json, withheld_samples
from copylens.cli import main


def line(verdict: dict, name: str) -> dict:
    return next(each for each in verdict["lines"] if each["name"] == name)


def whole(verdict: dict) -> dict:
    """The verdict as it is written, with what only a run knows."""
    return json.loads(
        to_json(
            {
                "audit": "a",
                **verdict,
                "provenance": dict.fromkeys(("copylens", "python", "libraries", "checksums", "seeds", "config")),
            }
        )
    )


def test_copies_of_everybody_fail_and_are_flagged():
    found = evidence(of_share(1.0))
    verdict = judge(found, POLICY, None)
    assert verdict["verdict"] == "FAIL"
    assert found.copies("synthetic").mean() >= 0.95
    assert line(verdict, "copies")["low"] > POLICY["copies"]
    assert line(verdict, "patients")["outcome"] == "fail"


def test_other_patients_pass():
    verdict = judge(evidence(of_share(0.0)), POLICY, None)
    assert verdict["verdict"] == "PASS"
    assert verdict["quarantine"] is None
    assert all(each["outcome"] == "pass" for each in verdict["lines"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_corrected_rate_is_the_true_one(share):
    rule = judge(evidence(of_share(share), found=0.9), POLICY, None)["detectors"][-1]
    # Nine of ten copies are found when they are planted; of the samples all are.
    assert rule["sensitivity"] == pytest.approx(0.9, abs=0.02)
    rule = judge(evidence(of_share(share)), POLICY, None)["detectors"][-1]
    assert rule["true_copies_low"] <= share <= rule["true_copies_high"]


def test_two_detectors_accuse_fewer_innocents_than_one():
    verdict = judge(evidence(of_share(0.0, n=2000), n_control=2000), POLICY, None)
    alone, rule = verdict["detectors"][0], verdict["detectors"][-1]
    assert alone["control_rate"] > 0.02
    assert rule["control_rate"] < 0.1 * alone["control_rate"]


def test_few_calibration_patients_say_how_many_are_needed():
    verdict = judge(evidence(of_share(0.0), n_calibration=20), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert verdict["needed"][0].startswith("56 calibration patients")
    enough = judge(evidence(of_share(0.0), n_calibration=56), POLICY, None)
    assert line(enough, "calibration_size")["outcome"] == "pass"


def test_what_cannot_find_planted_copies_cannot_say():
    verdict = judge(evidence(of_share(0.0), found=0.5), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "sensitivity")["outcome"] == "unable"
    assert "identity and shift" in line(verdict, "sensitivity")["explanation"]


def test_a_detector_that_accuses_alone_is_a_disagreement():
    verdict = judge(evidence(of_share(0.5), alone=True), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "agreement")["outcome"] == "unable"


def test_an_image_of_the_training_set_fails_whatever_the_detectors_say():
    found = evidence(of_share(0.0), n_calibration=20)
    identical = found.identical.copy()
    identical[3] = True
    verdict = judge(dataclasses.replace(found, identical=identical), POLICY, None)
    assert verdict["verdict"] == "FAIL"
    assert verdict["reasons"][0].startswith("1 of 300")


def test_the_rest_of_some_copies_passes_without_them():
    copies = of_share(0.2)
    found = evidence(copies)
    verdict = judge(found, POLICY, None)
    rest = verdict["quarantine"]
    assert (verdict["verdict"], rest["verdict"]) == ("FAIL", "PASS")
    assert rest["residual_high"] <= POLICY["copies"]
    withheld = withheld_samples(found, rest["percentile"])
    assert withheld[copies >= 0].all()
    assert rest["withheld"] == withheld.sum() < 100


def test_the_rest_of_a_generator_that_only_copies_has_a_reason_not_to_pass():
    copies = np.arange(300) % 200
    rest = judge(evidence(copies, found=0.9), POLICY, None)["quarantine"]
    assert rest["verdict"] == "NOT ABLE TO SAY"
    assert rest["reasons"]


def test_missed_copies_make_the_rest_less_sure():
    sure = judge(evidence(of_share(0.2)), POLICY, None)["quarantine"]
    unsure = judge(evidence(of_share(0.2), found=0.9), POLICY, None)["quarantine"]
    assert unsure["residual"] > sure["residual"]


def test_groups_say_who_is_exposed_and_hide_the_few():
    copies = np.where(np.arange(300) < 20, np.arange(300), -1)  # the patients of the small site
    found = evidence(copies)
    groups = {each["value"]: each for each in judge(found, POLICY, None)["groups"]}
    assert groups["small"]["share"] == 1.0
    assert groups["large"]["share"] < 0.1
    splits = found.splits.copy()
    splits.loc[:2, "about_site"] = "tiny"
    values = [each["value"] for each in judge(dataclasses.replace(found, splits=splits), POLICY, None)["groups"]]
    assert "tiny" not in values


def test_exposure_is_what_drawing_samples_gives():
    copies = np.repeat(np.arange(30), np.arange(30) % 5 + 1)
    found = evidence(np.concatenate([copies, np.full(200, -1)]))
    numbers, times = named_patients(found)
    curve = {point["released"]: point["patients"] for point in exposure_of(found, 0.05, 0.95)["curve"]}
    released = list(curve)[-3]
    generator = np.random.default_rng(0)
    patient = np.concatenate([np.repeat(numbers, times), np.full(len(found.identical) - times.sum(), -1)])
    drawn = [len(set(generator.permutation(patient)[:released]) - {-1}) for _ in range(500)]
    assert curve[released] == pytest.approx(np.mean(drawn), abs=0.2)


def test_within_the_policy_is_the_largest_release_that_is():
    found = evidence(of_share(1.0))
    exposed = exposure_of(found, 0.05, 0.95)
    assert 0 < exposed["within_policy"] < 300
    assert exposure_of(found, 1.0, 0.95)["within_policy"] == 300


def test_chao1_by_hand():
    # 3 seen once, 2 twice, 1 five times: 6 + 3 x 2 / (2 x 3) = 7.
    total, low, high = chao1(np.array([1, 1, 1, 2, 2, 5]), 0.95)
    assert total == 7
    assert 6 <= low < total < high
    assert chao1(np.array([4, 3]), 0.95) == (2, 2, 2)


@pytest.mark.parametrize(("learnt", "outcome"), [(1.0, "fail"), (0.0, "pass")])
def test_weights_that_know_their_patients_fail(learnt, outcome):
    generator = np.random.default_rng(0)
    losses = {name: generator.gamma(5, size=(400, 10)) for name in ("train", "held_out")}
    losses["train"] -= 0.5 * learnt * losses["train"]
    losses |= {"train_patient": np.arange(400), "held_out_patient": np.arange(400, 800)}
    member = membership(losses, 0.95, 0)
    verdict = judge(evidence(of_share(0.0)), POLICY, member)
    assert line(verdict, "membership")["outcome"] == outcome
    assert verdict["verdict"] == ("FAIL" if learnt else "PASS")


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("found", [0.0, 1.0])
def test_every_verdict_keeps_to_the_published_schema(share, found):
    verdict = whole(judge(evidence(of_share(share), found=found), POLICY, None))
    jsonschema.validate(verdict, yaml.safe_load(SCHEMA.read_text()))


@pytest.mark.parametrize(
    ("share", "n_calibration", "code"), [(0.0, 120, 0), (1.0, 120, 1), (0.0, 20, 2)], ids=["pass", "fail", "unable"]
)
def test_the_gate_tells_pipelines(share, n_calibration, code, tmp_path, capsys):
    verdict = whole(judge(evidence(of_share(share), n_calibration=n_calibration), POLICY, None))
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "verdict.json").write_text(to_json(verdict))
    assert main(["gate", str(tmp_path)]) == code
    assert verdict["verdict"] in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "", "{", "{}", '{"verdict": "PASS"}'])
def test_the_gate_lets_nothing_broken_pass(text, tmp_path):
    if text is not None:
        (tmp_path / "public").mkdir()
        (tmp_path / "public" / "verdict.json").write_text(text)
    code, message = gate(tmp_path)
    assert code == 3
    assert "make it" in message


def test_a_wrong_command_is_an_error_and_not_a_verdict():
    assert main(["gate"]) == 3
    assert main(["gates", "x"]) == 3
