"""The policy's demands, each with how it was met: pass, fail or unable."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from copylens.audit.evidence import HELD_OUT, Evidence, Found, exact_interval, found_shares, rates
from copylens.audit.exposure import Rule, exposed_patients, exposed_share
from copylens.audit.kind import auc_interval, words_of
from copylens.audit.membership import FALSE_POSITIVES
from copylens.audit.words import listed, percent
from copylens.prevalence import highest_false_positive_rate

MANY = 5000  # calibration patients, as good as any number
OTHERWISE = 0.5  # share of samples that may lie otherwise than they fit: a generator may mirror half of them
UNLIKE = 0.9  # area under the curve at which a few pixels tell samples from real images
LIKELY_UNLIKE = 0.8  # the same where detectors find them farther from T, too
FARTHER = 0.3  # of the chance that a sample is nearer to T than another patient's image is, where it is far from 0.5
SHOWN = 3  # orientations that are named
RARE = 0.01  # share of new patients' images that pass the threshold of a detector alone


@dataclass(frozen=True)
class Line:
    """One demand of the policy, and how it was met."""

    name: str
    question: str
    limit: float | None
    value: float | None
    low: float | None
    high: float | None
    unit: str  # share, count or nothing
    outcome: str  # pass, fail or unable
    explanation: str
    needed: str | None = None  # what would let this line say more


def true_copies(row: dict) -> tuple[float, float, float]:
    """(share, low, high) of what `copylens.audit.evidence.rates` found."""
    return row["true_copies"], row["true_copies_low"], row["true_copies_high"]


def against(limit: float, interval: tuple[float, float, float]) -> str:
    """Whether all of an interval is above a limit, all of it at most there, or neither."""
    _, low, high = interval
    if not np.isfinite(high):
        return "unable"
    return "fail" if low > limit else "pass" if high <= limit else "unable"


def identical_files(evidence: Evidence) -> Line:
    """No sample may be a real image, of T or of V and H."""
    n, n_held_out = int(evidence.identical.sum()), int(evidence.is_held_out.sum())
    explanation = f"{n} of {len(evidence.identical)} synthetic images are, pixel by pixel, images of training patients."
    if n_held_out:
        explanation += f" {n_held_out} are images of held-out patients (calibration and control)."
    return Line(
        "identical_files",
        "Are synthetic images, pixel by pixel, real images?",
        0,
        n + n_held_out,
        None,
        None,
        "count",
        "fail" if n + n_held_out else "pass",
        explanation,
    )


def kind(evidence: Evidence, level: float) -> Line:
    """Samples must lie as the patients' images lie, and show what these show.

    Not of the same kind are samples more than half of which surely lie otherwise than they fit, which a few pixels
    surely tell from real images by an area of `UNLIKE` or more, or of `LIKELY_UNLIKE` where two detectors find them
    much farther from T than other patients' images are. Poor quality alone makes them farther, but changes few pixels
    little.
    """
    found, z = evidence.kind, norm.ppf(0.5 + level / 2)
    dims, n, n_real = found["shift"].size, evidence.n_samples, evidence.n_independent(*HELD_OUT)
    otherwise = _lies_otherwise(found, "synthetic")
    of_real = np.concatenate([_lies_otherwise(found, name) for name in HELD_OUT])
    share = float(otherwise.mean())
    low, high = exact_interval(share, n, level)
    farther = [name for name, each in evidence.found.items() if _farther(each, n, n_real, z)]
    reasons, area = [], None
    if low > OTHERWISE:
        reasons.append(f"{percent(share)} of them ({percent(float(of_real.mean()))} of real images) fit far better")
    if len(found["synthetic_score"]):
        real_scores = np.concatenate([found[f"{name}_score"] for name in HELD_OUT])
        area = auc_interval(found["synthetic_score"], real_scores, n, n_real, z)
        if area[1] > (LIKELY_UNLIKE if len(farther) >= 2 else UNLIKE):
            reasons.append(f"a few pixels tell them from real images with an area under the curve of {area[0]:.2f}")
            if farther:
                reasons.append(f"under {listed(farther)} they are far more unlike them than other patients' images")
    fits = _how_they_fit(found, otherwise, dims)
    if area is None:
        outcome, explanation = "unable", f"{len(otherwise)} samples are too few to see whether they are of one kind."
    elif reasons:
        outcome = "unable"
        explanation = "The samples are not images of the same kind as the patients': " + "; ".join(reasons) + "."
        explanation += f" {fits}" if fits else ""
    else:
        outcome, explanation = "pass", "The samples lie as the patients' images do, and show what these show."
        if share > 0:
            explanation += f" {percent(share)} fit better otherwise ({percent(float(of_real.mean()))} of real images)."
    return Line(
        "kind",
        "Are the samples of the same kind as the patients' images?",
        OTHERWISE,
        share,
        low,
        high,
        "share",
        outcome,
        explanation,
        "Samples that lie, and are stored, as the training images are; or training images that are stored as these.",
    )


def _lies_otherwise(found: dict, name: str) -> np.ndarray:
    """Which images of a set would fit far better in another orientation or order of slices, bool [image]."""
    return (found[f"{name}_orientation"] != 0) | (found[f"{name}_sorted"] >= 0)


def _farther(found: Found, n: float, n_real: float, z: float) -> bool:
    """Whether a detector finds S much farther from T than V and H are."""
    real = np.concatenate([found.similarity[name] for name in HELD_OUT])
    return auc_interval(found.similarity["synthetic"], real, n, n_real, z)[2] < FARTHER


def _how_they_fit(found: dict, otherwise: np.ndarray, dims: int) -> str:
    """In which orientations, and by which zoom and shift, samples are most like training images; commonest first."""
    pairs = zip(found["synthetic_orientation"][otherwise], found["synthetic_sorted"][otherwise], strict=True)
    words = Counter(words_of(int(orientation), int(axis), dims) for orientation, axis in pairs)
    said = [f"{n} of {len(otherwise)} fit {how}" for how, n in words.most_common(SHOWN) if n > SHOWN]
    zoom, shift = float(found["zoom"]), found["shift"]
    moved = [f"zoomed by {zoom:g}"] if zoom != 1 else []
    moved += [f"shifted along axis {axis + 1} by {abs(by):.0%}" for axis, by in enumerate(shift) if by]
    # Of images that lie otherwise the mean image says nothing of zoom and shift.
    said += [f"as a whole they fit better {' and '.join(moved)}"] if moved and otherwise.mean() <= OTHERWISE else []
    return "; ".join(said).capitalize() + "." if said else ""


def apart(evidence: Evidence) -> Line:
    """No image of V and H may show a training patient under another name."""
    alike = evidence.like_training()
    n = int((alike >= 0).sum())
    return Line(
        "apart",
        "Are the held-out patients others than the training patients?",
        0,
        n,
        None,
        None,
        "count",
        "unable" if n else "pass",
        f"{n} of {len(alike)} calibration and control images are so like a training patient's that chance doesn't "
        "explain it" + (": they may show that very patient under another name." if n else "."),
        "Held-out patients none of whom was trained on, under whatever name.",
    )


def held_out(evidence: Evidence, level: float, policy: dict) -> Line:
    """Samples mustn't be near V and H more often than other patients' images, those of T, are."""
    called, usual = (evidence.near_held_out(name) for name in ("synthetic", "train"))
    n = min(evidence.n_samples, len(called))
    n_usual = min(evidence.n_independent("train"), len(usual))
    share, by_chance = float(called.mean()), float(usual.mean())
    low, high = exact_interval(share, n, level)
    most = exact_interval(by_chance, n_usual, level)[1]
    outcome = "pass" if low <= most else "fail" if low > most + policy["copies"] else "unable"
    explanation = (
        f"Of the samples {percent(share)} are called copies of held-out patients (calibration and control), of the "
        f"training images, which show other people, {percent(by_chance)}."
    )
    if outcome != "pass":
        explanation += " The generator has seen held-out patients: they can't show what chance does."
    return Line(
        "held_out",
        "Are samples copies of held-out patients?",
        most,
        share,
        low,
        high,
        "share",
        outcome,
        explanation,
        "Held-out patients whom the generator hasn't seen.",
    )


def calibration_size(evidence: Evidence, policy: dict) -> Line:
    """What a threshold of so few patients may accuse must be little enough."""
    n, level, limit = evidence.n_patients("calibration"), policy["level"], policy["false_positives"]
    worth = math.floor(round(evidence.n_independent("calibration"), 6))
    possible = highest_false_positive_rate(worth, level)
    unequal = f", who say as much as {worth} of one image each," if worth < n else ""
    enough = _enough_patients(limit, level)
    return Line(
        "calibration_size",
        "Are there enough calibration patients for a threshold?",
        limit,
        possible,
        None,
        None,
        "share",
        "pass" if possible <= limit else "unable",
        f"With {n} calibration patients{unequal} a detector may accuse up to {percent(possible)} of innocent images.",
        f"{enough if enough < MANY else 'Very many'} calibration patients, who weren't trained on, for at most "
        f"{percent(limit)}.",
    )


@cache
def _enough_patients(limit: float, level: float) -> int:
    """From where on all numbers are enough: as the percentile falls between two of them, one more may be worse."""
    short = [n for n in range(20, MANY) if highest_false_positive_rate(n, level) > limit]
    return short[-1] + 1 if short else 20


def control_rate(evidence: Evidence, of_rule: dict, policy: dict) -> Line:
    """The rule must spare innocent images, as they are and changed as copies are."""
    transformed = found_shares(evidence, evidence.copies("planted"), policy["level"], copies=False)
    accused = [row["transform"] for row in transformed if row["low"] > policy["copies"]]
    value, low, high = (of_rule[f"control_rate{end}"] for end in ("", "_low", "_high"))
    limit = policy["false_positives"]
    explanation = f"Of control patients, whom nothing was trained on, the rule calls {percent(value)} copies."
    needed = None
    if low > policy["copies"]:
        explanation += f" That is surely more than the {percent(policy['copies'])} of copies that are allowed."
        needed = "Calibration and control patients of one kind, none of them in the training set under another name."
    elif accused:
        explanation += f" Under {listed(accused)} it calls surely more than {percent(policy['copies'])} of them so."
        needed = (
            f"Detectors that spare innocent images under {listed(accused)}, or a policy that doesn't ask for these."
        )
    elif high > limit:
        explanation += f" There are too few of them to be sure that it isn't more than {percent(limit)}."
        needed = "More control patients, who weren't trained on."
    return Line(
        "control_rate",
        "Does the rule spare innocent images?",
        limit,
        value,
        low,
        high,
        "share",
        "unable" if needed else "pass",
        explanation,
        needed,
    )


def sensitivity(evidence: Evidence, policy: dict) -> Line:
    """Under every transform enough planted copies must be found."""
    shares = found_shares(evidence, evidence.copies("planted"), policy["level"])
    worst = min(shares, key=lambda row: (row["low"], row["found"]))
    weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
    needed = "More planted copies (planted.copies), of more training patients."
    if not weak:
        explanation = (
            f"Of copies planted in these data {percent(worst['found'])} or more are found under every transform."
        )
    elif worst["found"] >= policy["sensitivity"]:
        explanation = f"{worst['n']} planted copies are too few to be sure that enough are found under {listed(weak)}."
    else:
        explanation = f"Too few planted copies are found under {listed(weak)}."
        needed = f"Two detectors that find copies under {listed(weak)}, or a policy that doesn't ask for these."
    return Line(
        "sensitivity",
        "Would copies be found?",
        policy["sensitivity"],
        worst["found"],
        worst["low"],
        worst["high"],
        "share",
        "unable" if weak else "pass",
        explanation,
        needed,
    )


def copies(of_rule: dict, policy: dict) -> Line:
    """Few enough samples may be copies."""
    return _share(
        "copies",
        "Are more samples copies than the policy allows?",
        "samples are copies",
        policy,
        true_copies(of_rule),
        "More control patients or planted copies, or up to as many samples as there are control patients: intervals "
        "become narrower.",
    )


def patients(evidence: Evidence, rule: Rule, policy: dict) -> Line:
    """Few enough training patients may be exposed, as the rule that leaves least doubt has it."""
    level, needed = policy["level"], "More control patients, planted copies or training patients."
    n_patients = len(evidence.patients)
    # What is left in doubt even if nobody is named.
    least = exposed_share(0, evidence.n_samples, n_patients, rule.rates, level)[2]
    if least > policy["patients"] > 0:
        enough = math.ceil(least * n_patients / policy["patients"])
        needed = (
            f"At least {enough} training patients, or a policy that allows more of them: of {n_patients}, "
            f"{percent(least)} may be exposed even where no sample names one."
        )
    return _share(
        "patients",
        "Are more patients exposed than the policy allows?",
        "patients are exposed",
        policy,
        exposed_patients(evidence, rule, level),
        needed,
    )


def _share(name: str, question: str, what: str, policy: dict, interval: tuple, needed: str) -> Line:
    value, low, high = interval
    outcome = against(policy[name], interval)
    said = f"{percent(value)} of {what} ({percent(low)} to {percent(high)})"
    if not np.isfinite(high):
        explanation = f"No more planted copies are found than innocent images accused: how many {what} can't be said."
    elif outcome == "unable":
        explanation = f"{said}: the interval holds the limit of {percent(policy[name])}."
    else:
        explanation = f"{said}, corrected for what is missed and for what is called so by chance."
    return Line(name, question, policy[name], value, low, high, "share", outcome, explanation, needed)


def alone(evidence: Evidence, policy: dict) -> dict[str, dict]:
    """What each detector that finds planted copies sees by itself, at a threshold that `RARE` of new patients' images
    pass: its rates (`copylens.audit.evidence.rates`), over the transforms whose copies it finds as the policy asks.

    False positives are measured on V and H. A detector that finds copies under none of the transforms isn't in it.
    """
    rows = {}
    for name, found in evidence.found.items():
        called = {each: found.calls_rarely(each, RARE) for each in found.similarity}
        shares = found_shares(evidence, called["planted"], policy["level"])
        kinds = [row["transform"] for row in shares if row["found"] >= policy["sensitivity"]]
        if kinds:
            rows[name] = rates(evidence, called, policy["level"], HELD_OUT, kinds)
    return rows


def agreement(evidence: Evidence, accusing: list[str], by_itself: dict[str, dict], copies: str, policy: dict) -> Line:
    """What one good detector sees counts, unless two agree on so many samples that `copies` fails."""
    doubtful = [name for name, row in by_itself.items() if against(policy["copies"], true_copies(row)) != "pass"]
    too_many = list(dict.fromkeys([*accusing, *doubtful]))
    if not too_many:
        explanation = f"None of {len(evidence.found)} detectors alone finds more copies than the policy allows."
    else:
        explanation = f"More copies than the policy allows, by each of these alone: {listed(too_many)}."
        highest = [by_itself[name]["true_copies_high"] for name in doubtful]
        if highest:
            explanation += f" Up to {percent(max(highest))} of samples may be copies that stand out in one of them."
    if too_many and copies != "fail":
        n = int(np.any([evidence.found[name].calls("synthetic") for name in too_many], axis=0).sum())
        n_agreed = int(evidence.copies("synthetic").sum())
        explanation += f" Of the {n} samples that they call copies two detectors agree on {n_agreed}."
    return Line(
        "agreement",
        "Does any detector alone find too many copies?",
        0,
        len(too_many),
        None,
        None,
        "count",
        "pass" if not too_many else "fail" if copies == "fail" and accusing else "unable",
        explanation,
        "Somebody's eyes on the samples that only some detectors call copies, or a release of the rest without them.",
    )


def membership(member: dict, policy: dict) -> Line:
    """Losses mustn't tell who was trained on."""
    interval, limit = (member["auc"], member["auc_low"], member["auc_high"]), policy["membership"]
    explanation = (
        f"Losses tell training patients from others with an area under the curve of {member['auc']:.2f} "
        f"({member['auc_low']:.2f} to {member['auc_high']:.2f}; 0.5 is chance), and find "
        f"{percent(member['tpr_at_1fpr'])} of them at 1 % false positives."
    )
    outcome, needed = against(limit, interval), "More held-out patients, which make the interval narrower."
    if member["n_others"] * FALSE_POSITIVES >= 1 and member["tpr_at_1fpr_low"] > policy["patients"] + FALSE_POSITIVES:
        # Some who are known for sure, though most are not.
        outcome = "fail"
        explanation += (
            f" That is surely more than the {percent(policy['patients'])} of patients who may be exposed and the 1 % "
            "that chance finds."
        )
    elif member["auc_high"] < 1 - limit:
        outcome = "unable"
        explanation += " Losses are lower on patients who weren't trained on: the two aren't images of one kind."
        needed = "Held-out images that differ from the training images in nothing but the patients."
    return Line(
        "membership",
        "Do the weights give away who was trained on?",
        limit,
        *interval,
        "",
        outcome,
        explanation,
        needed,
    )
