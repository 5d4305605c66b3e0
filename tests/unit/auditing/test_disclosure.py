"""The lines about what samples tell besides copies: when they fail, when they can't say, and that no scanner fails."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from audit_cases import POLICY, errors_of, evidence, of_share, whole
from scipy import ndimage

from copylens.auditing.attacks import measure_attacks
from copylens.auditing.disclosure import disclose, residual_risk
from copylens.auditing.membership import membership
from copylens.auditing.verdict import judge
from copylens.jobs.files import read_arrays, write_array, write_table

ATTACKS = ("membership_samples", "linkability", "inference")
N = {"train": 120, "calibration": 80, "control": 80}
SIDE, SAMPLES = 16, 240


def drawn(n: int, seed: int, blur: float = 1.5) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(n, SIDE, SIDE)), (0, blur, blur))
    return (0.5 + smooth / smooth.std() / 8).clip(0, 1).astype(np.float32)


def measured(folder, samples: np.ndarray, others=lambda images: images, n: dict | None = None):
    """Findings of detectors that find no copy, with the attacks of drawn images. others: changes V and H."""
    n = n or N
    real = {name: drawn(of, number) for number, (name, of) in enumerate(n.items())}
    roles = np.repeat(list(n), list(n.values()))
    splits = pd.DataFrame({"scan": range(len(roles)), "patient": [f"p{row:04d}" for row in range(len(roles))]})
    splits = splits.assign(role=roles, about_site="one")
    write_table(splits, folder / "splits.tsv")
    images = np.concatenate([real["train"], others(real["calibration"]), others(real["control"])])
    write_array(images.astype(np.float32), folder / "images.npy")
    write_array(samples, folder / "synthetic.npy")
    measure_attacks(*(folder / name for name in ("images.npy", "splits.tsv", "synthetic.npy", "attacks.npz")))
    found = evidence(of_share(0.0, n=len(samples)), n_calibration=n["calibration"], n_control=n["control"])
    detectors = {
        name: dataclasses.replace(each, patient={of: number % n["train"] for of, number in each.patient.items()})
        for name, each in found.detectors.items()
    }
    attacks = read_arrays(folder / "attacks.npz")
    return dataclasses.replace(found, splits=splits, attacks=attacks, detectors=detectors)


def lines(verdict: dict) -> dict:
    return {line["name"]: line for line in verdict["lines"]}


def test_samples_of_nobody_pass_every_attack(tmp_path):
    found = lines(judge(measured(tmp_path, drawn(SAMPLES, 5)), POLICY, None))
    assert {name: found[name]["outcome"] for name in (*ATTACKS, "shift")} == dict.fromkeys((*ATTACKS, "shift"), "pass")


def test_a_copycat_fails_every_attack_though_no_detector_sees_it(tmp_path):
    training = np.tile(drawn(N["train"], 0), (2, 1, 1))
    verdict = judge(measured(tmp_path, training), POLICY, None)
    found = lines(verdict)
    assert [found[name]["outcome"] for name in ATTACKS] == ["fail"] * 3
    assert found["copies"]["outcome"] == "pass"
    assert verdict["verdict"] == "FAIL"
    for risk in ("linkability", "inference"):
        assert verdict["disclosure"][risk]["residual"] > 0.8


def test_means_of_a_patient_and_somebody_else_fail_though_nobody_is_copied(tmp_path):
    training = np.tile(drawn(N["train"], 0), (2, 1, 1))
    verdict = judge(measured(tmp_path, (training + drawn(SAMPLES, 5)) / 2), POLICY, None)
    assert lines(verdict)["membership_samples"]["outcome"] == "fail"
    assert "Nearness to the samples separates" in " ".join(verdict["reasons"])


@pytest.mark.parametrize(
    "scanner", [lambda images: images**1.4, lambda images: ndimage.gaussian_filter(images, (0, 0.7, 0.7))]
)
def test_another_scanner_fails_nobody_and_the_reason_says_so(tmp_path, scanner):
    """Samples of the training patients' kind, and held-out patients of another: all attacks seem to work."""
    found = measured(tmp_path, drawn(SAMPLES, 5), scanner)
    calls = {
        name: dataclasses.replace(each, similarity=each.similarity | {"synthetic": np.full(SAMPLES, 9.0)})
        for name, each in found.detectors.items()
    }
    errors = errors_of(np.random.default_rng(0), member=0.5)
    for each in (found, dataclasses.replace(found, detectors=calls)):
        verdict = judge(each, POLICY, membership(errors, 0.95, 0))
        of = lines(verdict)
        assert verdict["verdict"] == verdict["quarantine"]["verdict"] == "NOT ABLE TO SAY"
        assert {of[name]["outcome"] for name in (*ATTACKS, "membership", "shift")} == {"unable"}
        assert "other scanners or protocols" in " ".join(verdict["reasons"])
        assert any("Held-out images from the scanners" in need for need in verdict["needed"])


def test_few_samples_are_not_able_to_say_and_give_no_number(tmp_path):
    verdict = whole(judge(measured(tmp_path, drawn(63, 5)), POLICY, None))
    for name in ATTACKS:
        line = lines(verdict)[name]
        assert (line["outcome"], line["value"]) == ("unable", None)
    assert verdict["disclosure"]["membership"] is None
    assert "At least 64 samples." in verdict["needed"]


def test_few_training_patients_are_not_able_to_say(tmp_path):
    verdict = judge(measured(tmp_path, drawn(SAMPLES, 5), n=N | {"train": 4}), POLICY, None)
    assert lines(verdict)["shift"]["outcome"] == "unable" and lines(verdict)["shift"]["value"] is None
    assert verdict["verdict"] == "NOT ABLE TO SAY"


def test_the_rest_is_attacked_again(tmp_path):
    """Half of the samples repeat patients: without them the rest tells nothing, with them it tells much."""
    n = SAMPLES // 2
    found = measured(tmp_path, np.concatenate([drawn(N["train"], 0)[:n], drawn(n, 5)]))
    left, all_of_them = (disclose(found, kept, 0.95, 0) for kept in (np.arange(SAMPLES) >= n, np.ones(SAMPLES, bool)))
    assert left.membership["auc_low"] < 0.5 < left.membership["auc_high"]
    assert all_of_them.membership["auc_low"] > 0.64
    # No detector sees these copies, so none is withheld, and the rest can't pass.
    rest = judge(found, POLICY, None)["quarantine"]
    assert rest["verdict"] == "NOT ABLE TO SAY"
    assert any("Of the samples that are left: Nearness" in reason for reason in rest["reasons"])
    assert rest["disclosure"]["membership"]["auc_low"] > 0.64


def test_residual_risk_by_hand():
    value, low, high = residual_risk(0.6, 200, 0.2, 200, 0.95)
    assert value == pytest.approx(0.5)
    assert low < 0.5 < high and high - low < 0.2
    assert residual_risk(0.05, 200, 0.2, 200, 0.95)[0] == 0
    assert residual_risk(1.0, 100, 0.0, 100, 0.95)[0] == 1


def test_intervals_of_residual_risk_cover(n_runs=2000):
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(n_runs):
        control = generator.binomial(70, 0.1) / 70
        training = generator.binomial(140, 0.1 + 0.3 * 0.9) / 140
        _, low, high = residual_risk(training, 140, control, 70, 0.95)
        covered += low <= 0.3 <= high
    assert covered >= 0.93 * n_runs
