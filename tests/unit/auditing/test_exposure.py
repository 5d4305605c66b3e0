"""How many patients are exposed, by how many samples, and who they are."""

import dataclasses

import numpy as np
import pytest
from audit_cases import N_TRAIN, POLICY, evidence, of_share

from copylens.auditing.exposure import RARE, UNKNOWN, chao1, exposed_share, named_patients
from copylens.auditing.verdict import judge


def patients_line(verdict: dict) -> dict:
    return next(each for each in verdict["lines"] if each["name"] == "patients")


def test_exposure_is_what_drawing_samples_gives():
    copies = np.repeat(np.arange(30), np.arange(30) % 5 + 1)
    found = evidence(np.concatenate([copies, np.full(200, -1)]))
    numbers, times = named_patients(found)
    curve = {point["released"]: point["named"] for point in judge(found, POLICY, None)["exposure"]["curve"]}
    released = list(curve)[-3]
    generator = np.random.default_rng(0)
    patient = np.concatenate([np.repeat(numbers, times), np.full(len(found.identical) - times.sum(), -1)])
    drawn = [len(set(generator.permutation(patient)[:released]) - {-1}) for _ in range(500)]
    assert curve[released] == pytest.approx(np.mean(drawn), abs=0.2)


def test_within_the_policy_is_the_largest_release_that_is():
    found = evidence(of_share(1.0))
    within = judge(found, POLICY, None)["exposure"]["within_policy"]
    assert 0 < within < 0.05 * N_TRAIN  # every sample is a copy of somebody else
    assert judge(found, POLICY | {"patients": 1.0}, None)["exposure"]["within_policy"] == 300


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 1.0])
def test_all_samples_together_expose_what_the_line_of_patients_says(share):
    verdict = judge(evidence(of_share(share)), POLICY, None)
    patients, last = patients_line(verdict), verdict["exposure"]["curve"][-1]
    for key, counted in (("value", "patients"), ("low", "low"), ("high", "high")):
        assert last[counted] == pytest.approx(patients[key] * N_TRAIN)
    assert (verdict["exposure"]["within_policy"] == 300) == (patients["outcome"] == "pass")


@pytest.mark.parametrize("exposed", [0, 20, 120])
def test_the_interval_of_exposed_patients_covers_their_number(exposed):
    generator = np.random.default_rng(0)
    n, n_patients, control, found, trials = 200, 150, 0.02, 0.85, 300
    rule = {"sensitivity": found, "least_found_low": 0.78}
    rule |= {"control_rate": control, "control_rate_low": 0.008, "control_rate_high": 0.04}
    covered = 0
    for _ in range(trials):
        rightly = np.flatnonzero(generator.random(exposed) < found)
        wrongly = generator.integers(n_patients, size=generator.binomial(n, control))
        low, high = exposed_share(len(set(rightly) | set(wrongly)), n, n_patients, rule, 0.95)[1:]
        covered += low <= exposed / n_patients <= high
    assert covered >= 0.95 * trials


def test_too_few_training_patients_are_told_how_many_are_needed():
    found = evidence(of_share(0.0))
    splits = found.splits[(found.splits["role"] != "train") | (np.arange(len(found.splits)) < 10)]
    of_ten = {
        name: dataclasses.replace(each, patient={of: number % 10 for of, number in each.patient.items()})
        for name, each in found.detectors.items()
    }
    attacks = {key: of[:10] if key.startswith("train") else of for key, of in found.attacks.items()}
    verdict = judge(dataclasses.replace(found, splits=splits, detectors=of_ten, attacks=attacks), POLICY, None)
    assert patients_line(verdict)["outcome"] == "unable"
    needed = [int(need.split()[2]) for need in verdict["needed"] if need.startswith("At least ")]
    assert needed and 20 <= needed[0] <= 100


def test_chao1_by_hand():
    # 3 seen once, 2 twice, 1 five times: 6 + 3 x 2 / (2 x 3) = 7.
    total, low, high = chao1(np.array([1, 1, 1, 2, 2, 5]), 0.95)
    assert total == 7
    assert 6 <= low < total < high
    assert chao1(np.array([4, 3]), 0.95) == (2, 2, 2)


def test_no_more_patients_are_expected_than_there_are():
    # Sixty patients are each named once: nothing says how many more there are.
    exposure = judge(evidence(np.where(np.arange(300) < 60, np.arange(300), -1)), POLICY, None)["exposure"]
    assert exposure["chao1_low"] <= exposure["chao1"] <= exposure["chao1_high"] <= N_TRAIN


def test_groups_say_who_is_exposed_and_hide_the_few():
    copies = np.where(np.arange(300) < 20, np.arange(300), -1)  # the patients of the small site
    found = evidence(copies)
    named = set(named_patients(found)[0])
    assert named == set(range(20))
    groups = {each["value"]: each for each in judge(found, POLICY, None)["groups"]}
    assert (groups["small"]["named"], groups["small"]["share"]) == (20, 1.0)
    assert groups["large"]["named"] == 0
    # If three of the large site are named as well, the small site's number would tell how many, by the total.
    found = evidence(np.where(np.arange(300) < 23, np.arange(300), -1))
    assert [each["named"] for each in judge(found, POLICY, None)["groups"]] == [None, None]


def test_what_chance_names_again_and_again_is_not_taken_from_those_exposed():
    # 40 of 200 patients are exposed, and what chance names are always the same three.
    rule = {"sensitivity": 1.0, "least_found_low": 0.93}
    rule |= {"control_rate": 0.036, "control_rate_low": 0.018, "control_rate_high": 0.064}
    assert exposed_share(43, 3000, 200, rule, 0.95)[2] >= 0.2


def test_nothing_is_said_of_patients_where_no_more_copies_are_found_than_false_positives():
    verdict = judge(evidence(of_share(0.2), found=0.0), POLICY, None)
    assert patients_line(verdict)["outcome"] == "unable"
    assert "isn't known" in patients_line(verdict)["explanation"]


@pytest.mark.parametrize(
    ("sites", "shown"),
    [
        # Three patients would still be three under another name: the next rarest join them.
        ({"tiny": 3, "small": 20, "large": 177}, [(RARE, 23), ("large", 177)]),
        ({"tiny": 3, "minute": 2, "large": 195}, [(RARE, 5), ("large", 195)]),
        ({"tiny": 3, "large": 197}, []),
        ({"small": 20, "large": 180}, [("small", 20), ("large", 180)]),
        ({None: 20, "large": 180}, [(UNKNOWN, 20), ("large", 180)]),
    ],
)
def test_no_group_of_a_few_patients_is_shown(sites, shown):
    found = evidence(of_share(0.2))
    splits = found.splits.copy()
    splits.loc[: N_TRAIN - 1, "about_site"] = np.repeat(list(sites), list(sites.values()))
    groups = judge(dataclasses.replace(found, splits=splits), POLICY, None)["groups"]
    assert [(each["value"], each["patients"]) for each in groups] == shown
