"""From findings whose answer is known to the verdict, the quarantine and the exit code."""

import dataclasses
import re

import jsonschema
import numpy as np
import pytest
import yaml
from audit_cases import COPY, N_TRAIN, POLICY, errors_of, evidence, of_share, whole

from copylens.auditing.evidence import Evidence
from copylens.auditing.gate import SCHEMA
from copylens.auditing.membership import membership
from copylens.auditing.publish import samples_of
from copylens.auditing.verdict import judge
from copylens.auditing.withhold import withheld_samples


def line(verdict: dict, name: str) -> dict:
    return next(each for each in verdict["lines"] if each["name"] == name)


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


def test_two_detectors_have_fewer_false_positives_than_one():
    verdict = judge(evidence(of_share(0.0, n=2000), n_control=2000), POLICY, None)
    alone, rule = verdict["detectors"][0], verdict["detectors"][-1]
    assert alone["control_rate"] > 0.02
    assert rule["control_rate"] < 0.1 * alone["control_rate"]


def test_few_calibration_patients_say_how_many_are_needed():
    verdict = judge(evidence(of_share(0.0), n_calibration=20), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert verdict["needed"][0].startswith("66 calibration patients")
    for n in range(66, 90):
        enough = judge(evidence(of_share(0.0), n_calibration=n), POLICY, None)
        assert line(enough, "calibration_size")["outcome"] == "pass"


def test_what_cannot_find_planted_copies_cannot_say():
    verdict = judge(evidence(of_share(0.0), found=0.5), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "sensitivity")["outcome"] == "unable"
    assert "identity and shift" in line(verdict, "sensitivity")["explanation"]


def test_a_detector_that_calls_alone_is_a_disagreement():
    verdict = judge(evidence(of_share(0.5), alone=True), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "agreement")["outcome"] == "unable"


def replaced(found: Evidence, detectors: list[str], **changes: np.ndarray) -> Evidence:
    """The same findings, but for what some detectors say of the samples."""
    changed = {
        name: dataclasses.replace(
            each, **{key: getattr(each, key) | {"synthetic": value} for key, value in changes.items()}
        )
        for name, each in found.detectors.items()
        if name in detectors
    }
    return dataclasses.replace(found, detectors=found.detectors | changed)


def of_one_kind_only(found: Evidence, number: int, missed: int) -> Evidence:
    """The same findings, but so many of the 50 planted copies of one transform are missed by every detector."""
    changed = {}
    for name, each in found.detectors.items():
        similarity = each.similarity["planted"].copy()
        similarity[100 * number : 100 * number + missed] -= 2 * COPY
        changed[name] = dataclasses.replace(each, similarity=each.similarity | {"planted": similarity})
    return dataclasses.replace(found, detectors=changed)


def blind(found: Evidence, *detectors: str) -> Evidence:
    """The same findings, but some detectors see no copy among the samples."""
    unrelated = evidence(of_share(0.0)).detectors["first"]
    seen = {"similarity": unrelated.similarity["synthetic"], "patient": unrelated.patient["synthetic"]}
    return replaced(found, list(detectors), **seen)


def test_copies_that_the_first_detector_misses_fail_and_are_withheld():
    copies = of_share(0.2)
    found = blind(evidence(copies), "first")
    verdict = judge(found, POLICY, None)
    assert (verdict["verdict"], line(verdict, "agreement")["outcome"]) == ("FAIL", "fail")
    assert line(verdict, "patients")["outcome"] == "fail"
    assert set(copies[found.copies("synthetic")]) == set(found.nearest_patient("synthetic")[found.copies("synthetic")])
    assert set(samples_of(found, found.identical)["named_by"][found.copies("synthetic")]) == {"second"}
    rest = verdict["quarantine"]
    assert rest["detectors"] == ["first", "second", "third"]
    assert withheld_samples(found, rest["percentile"], rest["detectors"])[copies >= 0].all()


def test_copies_that_no_detector_alone_is_sure_of_do_not_pass():
    # The first detector is blind to 24 copies, and the others have some false positives, too.
    found = blind(evidence(of_share(0.08)), "first")
    verdict = judge(found, POLICY, None)
    assert verdict["verdict"] != "PASS"
    assert line(verdict, "patients")["value"] > 0.05


def test_what_only_one_detector_sees_is_withheld_from_the_rest():
    copies = of_share(0.2)
    found = blind(evidence(copies), "first", "second")
    verdict = judge(found, POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    rest = verdict["quarantine"]
    assert rest["verdict"] == "PASS"
    assert withheld_samples(found, rest["percentile"], rest["detectors"])[copies >= 0].all()


def test_samples_that_two_detectors_take_for_different_patients_do_not_fail():
    found = evidence(of_share(0.0))
    generator = np.random.default_rng(5)
    for name in ("second", "third"):
        # Samples that are smoother than real images are like many of them, now this one, now that one.
        smooth = found.detectors[name].similarity["synthetic"] + COPY
        found = replaced(found, [name], similarity=smooth, patient=generator.integers(N_TRAIN, size=300))
    verdict = judge(found, POLICY, None)
    assert (verdict["verdict"], line(verdict, "agreement")["outcome"]) == ("NOT ABLE TO SAY", "unable")


def test_control_images_that_look_like_copies_when_changed_cannot_say():
    found = evidence(of_share(0.3))
    changed = {}
    for name, each in found.detectors.items():
        similarity, patient = each.similarity["planted"].copy(), each.patient["planted"].copy()
        similarity[150:] += COPY  # control images, moved
        patient[150:] = 7
        planted = {
            "similarity": each.similarity | {"planted": similarity},
            "patient": each.patient | {"planted": patient},
        }
        changed[name] = dataclasses.replace(each, **planted)
    verdict = judge(dataclasses.replace(found, detectors=changed), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert "Under shift" in line(verdict, "control_rate")["explanation"]


def test_the_rest_of_copies_that_are_found_least_is_doubted():
    """The residual's upper end is that of copies of the worst kind, not of the mean one."""
    found = evidence(of_share(0.3))
    changed = {}
    for name, each in found.detectors.items():
        similarity = each.similarity["planted"].copy()
        similarity[100:107] -= 2 * COPY  # seven of fifty that were moved are missed
        changed[name] = dataclasses.replace(each, similarity=each.similarity | {"planted": similarity})
    rest = judge(dataclasses.replace(found, detectors=changed), POLICY | {"sensitivity": 0.7}, None)["quarantine"]
    shift = judge(dataclasses.replace(found, detectors=changed), POLICY, None)["sensitivity"][1]
    assert shift["rule"] == pytest.approx(0.86)
    assert rest["residual_high"] >= 0.3 * (1 - shift["low"]) * 300 / rest["released"]


def test_ten_per_cent_that_one_good_detector_sees_do_not_pass():
    for seed in range(3):
        found = evidence(of_share(0.1), alone=True, seed=seed)
        verdict = judge(found, POLICY, None)
        assert verdict["verdict"] == "NOT ABLE TO SAY"
        assert line(verdict, "agreement")["outcome"] == "unable"
        assert verdict["detectors"][0]["alone"]["true_copies_high"] > 0.1
        assert verdict["quarantine"]["detectors"] == ["first"]


@pytest.mark.parametrize("seed", range(3))
def test_what_one_detector_may_see_too_much_of_does_not_pass(seed):
    """Of 6 % it isn't sure that they are more than 5 %, but it can't exclude it."""
    verdict = judge(evidence(of_share(0.06), alone=True, seed=seed), POLICY, None)
    alone = verdict["detectors"][0]["alone"]
    assert alone["true_copies_low"] < POLICY["copies"] < alone["true_copies_high"]
    assert (verdict["verdict"], line(verdict, "agreement")["outcome"]) == ("NOT ABLE TO SAY", "unable")


def test_the_rest_is_doubted_as_much_as_the_detector_that_sees_most_says():
    """Only the first detector sees 30 % copies, and of those that were planted all miss a tenth."""
    rest = judge(evidence(of_share(0.3), alone=True, found=0.9), POLICY | {"sensitivity": 0.7}, None)["quarantine"]
    assert rest["residual"] == pytest.approx(0.3 / 0.9 * 0.1 * 300 / rest["released"], rel=0.15)


def test_so_many_samples_are_judged_at_thresholds_that_chance_seldom_passes():
    """1.5 % of new patients are like the same patient in all detectors, but not as a copy is."""
    found, changed = evidence(of_share(0.0, n=3000), n_control=120), {}
    for name, each in found.detectors.items():
        similarity, patient = dict(each.similarity), dict(each.patient)
        for role in ("synthetic", "calibration", "control"):
            n = len(similarity[role])
            alike = np.arange(n) % 67 == 0
            similarity[role] = np.where(alike, 2.05, np.minimum(similarity[role], 2.0))
            patient[role] = np.where(alike, np.arange(n) // 67 * 37 % N_TRAIN, patient[role])
        changed[name] = dataclasses.replace(each, similarity=similarity, patient=patient)
    verdict = judge(dataclasses.replace(found, detectors=changed), POLICY, None)
    assert verdict["exposure"]["rate"] is not None
    assert line(verdict, "patients")["outcome"] == "pass"
    assert verdict["detectors"][-1]["called"] == pytest.approx(0.015, abs=0.002)


@pytest.mark.parametrize(("share", "n", "n_train"), [(1.0, 84, 20), (0.9, 94, 40)])
@pytest.mark.parametrize("lacking", [None, "samples", "patients"])
def test_so_many_samples_and_patients_are_needed_at_least(share, n, n_train, lacking):
    """docs/auditing.md says so, of samples none of which is called a copy, by the share found of planted copies."""
    n, n_train = n - (lacking == "samples"), n_train - (lacking == "patients")
    found, changed = evidence(of_share(0.0, n=n), n_control=120, n_planted=100, found=share), {}
    for name, each in found.detectors.items():
        similarity = each.similarity | {"synthetic": np.full(n, -9.0)}
        patient = {role: number % n_train for role, number in each.patient.items()}
        changed[name] = dataclasses.replace(each, similarity=similarity, patient=patient)
    splits = found.splits[(found.splits["role"] != "train") | (np.arange(len(found.splits)) < n_train)]
    attacks = {key: of[:n_train] if key.startswith("train") else of for key, of in found.attacks.items()}
    verdict = judge(dataclasses.replace(found, detectors=changed, splits=splits, attacks=attacks), POLICY, None)
    lines = [
        each for each in verdict["lines"] if each["name"] not in ("membership_samples", "linkability", "inference")
    ]
    assert all(each["outcome"] == "pass" for each in lines) == (lacking is None)


def test_a_detector_that_finds_no_planted_copies_has_no_say_alone():
    found = evidence(of_share(0.0))
    third = found.detectors["third"]
    nothing = third.similarity | {"planted": third.similarity["planted"] - 2 * COPY}
    found = dataclasses.replace(
        found, detectors=found.detectors | {"third": dataclasses.replace(third, similarity=nothing)}
    )
    rows = judge(found, POLICY, None)["detectors"]
    assert [row["alone"] is None for row in rows] == [False, False, True, True, True], "nor have both rules"


def test_copies_of_the_kind_that_is_found_least_count():
    """The upper end of copies is that of the worst kind, not of the mean one."""
    found = evidence(of_share(0.2))
    least = of_one_kind_only(found, 1, 15)
    one, other = (judge(each, POLICY, None) for each in (found, least))
    assert [row["rule"] for row in other["sensitivity"]] == [1.0, 0.7]
    ratio = line(other, "copies")["high"] / line(one, "copies")["high"]
    assert ratio > 1.3  # by the mean kind it were 1 / 0.85 = 1.18
    assert line(other, "copies")["low"] == pytest.approx(line(one, "copies")["low"] / 0.85, rel=0.1)
    # As many patients as so few of that kind may hide: 1 - 0.55^k stays below 0.975 up to k = 6 of 200.
    one, other = (
        judge(each, POLICY, None)
        for each in (evidence(of_share(0.0)), of_one_kind_only(evidence(of_share(0.0)), 1, 15))
    )
    assert line(other, "patients")["high"] > 1.5 * line(one, "patients")["high"]


def test_the_same_samples_given_five_times_say_no_more_than_once():
    found = evidence(of_share(0.0, n=60))
    assert judge(found, POLICY, None)["verdict"] == "NOT ABLE TO SAY"
    again = {
        name: dataclasses.replace(
            each,
            similarity=each.similarity | {"synthetic": np.tile(each.similarity["synthetic"], 5)},
            patient=each.patient | {"synthetic": np.tile(each.patient["synthetic"], 5)},
        )
        for name, each in found.detectors.items()
    }
    kind = {key: np.tile(of, 5) if key.startswith("synthetic") else of for key, of in found.kind.items()}
    attacks = {key: np.tile(of, (5, 1)) if key.startswith("synthetic") else of for key, of in found.attacks.items()}
    repeated = dataclasses.replace(
        found,
        detectors=again,
        attacks=attacks,
        kind=kind,
        group=np.tile(found.group, 5),
        identical_to=np.tile(found.identical_to, 5),
        is_held_out=np.tile(found.is_held_out, 5),
    )
    assert repeated.n_samples == 60
    verdict = judge(repeated, POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "copies")["high"] == pytest.approx(line(judge(found, POLICY, None), "copies")["high"])
    assert verdict["counts"]["different_synthetic_images"] == 60
    independent = dataclasses.replace(repeated, group=np.arange(300))
    assert line(judge(independent, POLICY, None), "copies")["outcome"] == "pass"


def test_an_image_of_a_held_out_patient_fails():
    found = evidence(of_share(0.0))
    is_held_out = found.is_held_out.copy()
    is_held_out[7] = True
    verdict = judge(dataclasses.replace(found, is_held_out=is_held_out), POLICY, None)
    assert verdict["verdict"] == "FAIL"
    assert "1 are images of held-out patients" in verdict["reasons"][0]
    assert withheld_samples(dataclasses.replace(found, is_held_out=is_held_out), 95, ["first"])[7]


@pytest.mark.parametrize(("share", "outcome"), [(0.0, "pass"), (0.06, "unable"), (0.5, "fail")])
def test_samples_near_held_out_patients_are_noticed(share, outcome):
    found = evidence(of_share(0.0))
    n = round(share * 300)
    held_out = {}
    for name, each in found.held_out.items():
        similarity, patient = each.similarity["synthetic"].copy(), each.patient["synthetic"].copy()
        similarity[:n] += COPY
        patient[:n] = np.arange(n) % 120
        held_out[name] = dataclasses.replace(
            each,
            similarity=each.similarity | {"synthetic": similarity},
            patient=each.patient | {"synthetic": patient},
        )
    verdict = judge(dataclasses.replace(found, held_out=held_out), POLICY, None)
    assert line(verdict, "held_out")["outcome"] == outcome
    assert (verdict["verdict"] == "PASS") == (outcome == "pass")


@pytest.mark.parametrize("share", [0.04, 0.08])
def test_training_patients_among_the_held_out_ones_are_noticed(share):
    found = evidence(of_share(0.0))
    changed = {}
    for name, each in found.detectors.items():
        similarity, patient = dict(each.similarity), dict(each.patient)
        for role in ("calibration", "control"):
            n = round(share * len(similarity[role]))
            similarity[role] = similarity[role] + np.where(np.arange(len(similarity[role])) < n, 2 * COPY, 0)
            patient[role] = np.where(np.arange(len(patient[role])) < n, np.arange(len(patient[role])), patient[role])
        changed[name] = dataclasses.replace(each, similarity=similarity, patient=patient)
    verdict = judge(dataclasses.replace(found, detectors=changed), POLICY, None)
    assert (verdict["verdict"], line(verdict, "apart")["outcome"]) == ("NOT ABLE TO SAY", "unable")
    assert "under another name" in verdict["reasons"][0]
    assert line(judge(found, POLICY, None), "apart")["value"] == 0


def lying(found: Evidence, share: float, orientation: int = 3) -> Evidence:
    """The same findings, but a share of the samples lies otherwise than it fits."""
    lies = np.where(np.arange(300) < share * 300, orientation, 0)
    return dataclasses.replace(found, kind=found.kind | {"synthetic_orientation": lies})


def test_samples_that_lie_otherwise_than_they_fit_do_not_pass():
    verdict = judge(lying(evidence(of_share(0.0)), 0.9), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert "turned by a half" in verdict["reasons"][0]
    # A generator that mirrors half of its images is none of another kind.
    assert judge(lying(evidence(of_share(0.0)), 0.5, 1), POLICY, None)["verdict"] == "PASS"
    # A FAIL says it too.
    verdict = judge(lying(evidence(of_share(0.5)), 0.9), POLICY, None)
    assert verdict["verdict"] == "FAIL" and "turned by a half" in " ".join(verdict["reasons"])
    assert verdict["quarantine"]["verdict"] == "NOT ABLE TO SAY"


@pytest.mark.parametrize(("apart", "verdict"), [(0.5, "PASS"), (1.0, "PASS"), (3.0, "NOT ABLE TO SAY")])
def test_samples_that_a_few_pixels_tell_from_real_images_do_not_pass(apart, verdict):
    found = evidence(of_share(0.0))
    kind = found.kind | {"synthetic_score": found.kind["synthetic_score"] + apart}
    assert judge(dataclasses.replace(found, kind=kind), POLICY, None)["verdict"] == verdict


def test_too_few_samples_to_see_their_kind_are_not_able_to_say():
    found = evidence(of_share(0.0, n=8))
    scores = {name: of[:0] if name.endswith("_score") else of for name, of in found.kind.items()}
    verdict = judge(dataclasses.replace(found, kind=scores), POLICY, None)
    assert line(verdict, "kind")["outcome"] == "unable" and "too few" in line(verdict, "kind")["explanation"]


def test_planted_copies_must_be_found_surely_and_not_only_in_their_share():
    verdict = judge(evidence(of_share(0.0), found=0.8), POLICY, None)
    assert line(verdict, "sensitivity")["value"] >= POLICY["sensitivity"] > line(verdict, "sensitivity")["low"]
    assert line(verdict, "sensitivity")["outcome"] == "unable"
    assert "too few to be sure" in line(verdict, "sensitivity")["explanation"]


def test_control_patients_that_are_surely_called_copies_are_a_reason():
    found = evidence(of_share(0.0), n_control=300)
    changed = {}
    for name, each in found.detectors.items():
        control, patient = each.similarity["control"].copy(), each.patient["control"].copy()
        control[:36] += 3  # 12 %, none of them beyond what chance allows
        patient[:36] = 5
        changed[name] = dataclasses.replace(
            each, similarity=each.similarity | {"control": control}, patient=each.patient | {"control": patient}
        )
    verdict = judge(dataclasses.replace(found, detectors=changed), POLICY, None)
    assert line(verdict, "control_rate")["outcome"] == "unable"
    assert "surely more than" in line(verdict, "control_rate")["explanation"]
    # Only likely more, but not surely, is no reason.
    few = {
        name: dataclasses.replace(
            each,
            similarity=each.similarity
            | {"control": np.where(np.arange(300) < 18, changed[name].similarity["control"], -9)},
            patient=each.patient | {"control": np.where(np.arange(300) < 18, 5, each.patient["control"])},
        )
        for name, each in found.detectors.items()
    }
    assert line(judge(dataclasses.replace(found, detectors=few), POLICY, None), "control_rate")["outcome"] == "pass"


@pytest.mark.parametrize("policy", [{"patients": 0.0}, {"copies": 0.0}, {"sensitivity": 1.0}, {"false_positives": 1.0}])
def test_a_policy_may_ask_for_all_or_nothing(policy):
    assert judge(evidence(of_share(0.0)), POLICY | policy, None)["verdict"] in ("PASS", "NOT ABLE TO SAY")


@pytest.mark.parametrize("n_control", [1, 3, 10])
def test_a_few_control_patients_cannot_say(n_control):
    def judged(n: int) -> dict:
        found = evidence(of_share(0.0), n_control=n)
        none = {name: np.full(n, -9.0) for name in found.detectors}
        for name, detector in found.detectors.items():
            detector.similarity["control"] = none[name]
        return judge(found, POLICY, None)

    verdict = judged(n_control)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert line(verdict, "control_rate")["outcome"] == "unable"
    enough = int(re.match(r"About (\d+) control patients in all", verdict["needed"][0])[1])
    outcomes = [line(judged(n), "control_rate")["outcome"] for n in (enough - 1, enough)]
    assert outcomes == ["unable", "pass"]


def test_an_image_of_the_training_set_fails_whatever_the_detectors_say():
    found = evidence(of_share(0.0), n_calibration=20)
    identical_to = found.identical_to.copy()
    identical_to[3] = 42
    found = dataclasses.replace(found, identical_to=identical_to)
    assert found.nearest_patient("synthetic")[3] == 42
    verdict = judge(found, POLICY, None)
    assert verdict["verdict"] == "FAIL"
    assert verdict["reasons"][0].startswith("1 of 300")
    assert verdict["needed"] == ["Samples without the real images among them: they are withheld, and listed as such."]


def test_a_real_image_among_samples_is_counted_whatever_the_rule_is_worth():
    """With a control rate of a half, chance explains all calls; but whose image a sample is, is exposed."""
    found = evidence(of_share(0.0), n_control=40)
    for detector in found.detectors.values():
        detector.similarity["control"][:20] += COPY
        detector.patient["control"][:20] = 3
    identical_to = np.where(np.arange(300) < 60, np.arange(300) % 30, -1)
    with_real = dataclasses.replace(found, identical_to=identical_to)
    for judged, patients, copies in ((found, 0, 0), (with_real, 30 / N_TRAIN, 60 / 300)):
        verdict = judge(judged, POLICY, None)
        exposed, copied = line(verdict, "patients"), line(verdict, "copies")
        assert exposed["low"] == pytest.approx(patients) and exposed["value"] >= exposed["low"]
        assert copied["low"] == pytest.approx(copies) and copied["value"] >= copied["low"]
        last = verdict["exposure"]["curve"][-1]
        assert last["low"] == pytest.approx(N_TRAIN * patients)


def test_the_rest_of_some_copies_passes_without_them():
    copies = of_share(0.2)
    found = evidence(copies)
    verdict = judge(found, POLICY, None)
    rest = verdict["quarantine"]
    assert (verdict["verdict"], rest["verdict"]) == ("FAIL", "PASS")
    assert rest["residual_high"] <= POLICY["copies"]
    withheld = withheld_samples(found, rest["percentile"], rest["detectors"])
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


@pytest.mark.parametrize(("learnt", "outcome"), [(1.0, "fail"), (0.0, "pass")])
def test_weights_that_know_their_patients_fail(learnt, outcome):
    member = membership(errors_of(np.random.default_rng(0), member=1 - 0.5 * learnt), 0.95, 0)
    verdict = judge(evidence(of_share(0.0)), POLICY, member)
    assert line(verdict, "membership")["outcome"] == outcome
    assert verdict["verdict"] == ("FAIL" if learnt else "PASS")
    assert verdict["samples_alone"] == "PASS"  # whatever the weights say
    assert judge(evidence(of_share(0.0)), POLICY, None)["samples_alone"] is None


def test_weights_that_know_some_patients_for_sure_fail():
    errors = errors_of(np.random.default_rng(0), shape=50)
    errors["train_loss"][:60] *= 0.05
    member, policy = membership(errors, 0.95, 0), POLICY | {"membership": 0.66}
    assert member["auc_high"] < policy["membership"]
    verdict = judge(evidence(of_share(0.0)), policy, member)
    assert (verdict["verdict"], line(verdict, "membership")["outcome"]) == ("FAIL", "fail")


def test_weights_that_know_their_patients_fail_whatever_else_is_unknown():
    member = membership(errors_of(np.random.default_rng(0), member=0.3), 0.95, 0)
    verdict = judge(evidence(of_share(0.0), n_calibration=20), POLICY, member)
    assert verdict["verdict"] == "FAIL"
    assert verdict["reasons"][0].startswith("The error of denoising separates")
    assert verdict["needed"]


def test_errors_that_are_lower_on_others_say_nothing():
    errors = errors_of(np.random.default_rng(0))
    for name in ("calibration", "control"):
        for error in ("loss", "middle", "norm"):
            errors[f"{name}_{error}"] *= 0.5
    verdict = judge(evidence(of_share(0.0)), POLICY, membership(errors, 0.95, 0))
    assert (verdict["verdict"], line(verdict, "membership")["outcome"]) == ("NOT ABLE TO SAY", "unable")
    assert "of one kind" in line(verdict, "membership")["explanation"]


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("found", [0.0, 1.0])
def test_every_verdict_keeps_to_the_published_schema(share, found):
    verdict = whole(judge(evidence(of_share(share), found=found), POLICY, None))
    jsonschema.validate(verdict, yaml.safe_load(SCHEMA.read_text()))


def test_what_one_detector_alone_finds_is_told_from_what_it_may_find():
    names = POLICY["detectors"]
    sure = judge(evidence(of_share(0.3), alone=True), POLICY, None)
    words = line(sure, "agreement")["explanation"]
    assert words.startswith(f"Surely more copies than the policy allows by {names[0].replace('_', ' ')} alone.")
    few = line(judge(evidence(of_share(0.03), alone=True), POLICY, None), "agreement")
    assert "Surely" not in few["explanation"] and few["outcome"] == "unable"
    assert few["explanation"].startswith("Perhaps more copies than the policy allows by ")
