"""What the policy demands of what was counted, each with how it was met: pass, fail or unable."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from copylens.audit.measure import Measured, true_copies
from copylens.audit.membership import FALSE_POSITIVES
from copylens.evaluation.prevalence import highest_false_positive_rate
from copylens.reporting.sentences import listed, percent

MANY = 5000  # calibration patients, as good as any number


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


def counted(name: str, question: str, n: int, outcome: str, explanation: str, needed: str | None = None) -> Line:
    """A line about a number that must be 0."""
    return Line(name, question, 0, n, None, None, "count", outcome, explanation, needed)


def against(limit: float, interval: tuple[float, float, float]) -> str:
    """Whether all of an interval is above a limit, all of it at most there, or neither."""
    _, low, high = interval
    if not np.isfinite(high):
        return "unable"
    return "fail" if low > limit else "pass" if high <= limit else "unable"


def calibration_size(measured: Measured, policy: dict) -> Line:
    """A threshold set by so few patients must have a low false positive rate even in the worst case."""
    n, level, limit = measured.n_calibration, policy["level"], policy["false_positives"]
    worth, possible = measured.calibration_size, measured.highest_false_positive_rate
    unequal = f" (an effective sample size of {worth})" if worth < n else ""
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
        f"With {n} calibration patients{unequal} a threshold may have a false positive rate of up to "
        f"{percent(possible)}.",
        f"{enough if enough < MANY else 'Very many'} calibration patients, who weren't trained on, for at most "
        f"{percent(limit)}.",
    )


@cache
def _enough_patients(limit: float, level: float) -> int:
    """From where on all numbers are enough: as the percentile falls between two of them, one more may be worse."""
    short = [n for n in range(20, MANY) if highest_false_positive_rate(n, level) > limit]
    return short[-1] + 1 if short else 20


def control_rate(measured: Measured, policy: dict) -> Line:
    """The false positive rate must be low, on control images as they are and changed as copies are."""
    suspicious = [row["transform"] for row in measured.controls if row["low"] > policy["copies"]]
    value, low, high = (measured.rule[f"control_rate{end}"] for end in ("", "_low", "_high"))
    limit = policy["false_positives"]
    explanation = f"Of control patients, whom nothing was trained on, the rule calls {percent(value)} copies."
    needed = None
    if low > policy["copies"]:
        explanation += f" That is surely more than the {percent(policy['copies'])} of copies that are allowed."
        needed = "Calibration and control patients of one kind, none of them in the training set under another name."
    elif suspicious:
        explanation += f" Under {listed(suspicious)} it calls surely more than {percent(policy['copies'])} of them so."
        needed = (
            f"Detectors with fewer false positives under {listed(suspicious)}, or a policy that doesn't ask for these."
        )
    elif high > limit:
        explanation += f" There are too few of them to be sure that it isn't more than {percent(limit)}."
        needed = "More control patients, who weren't trained on."
    return Line(
        "control_rate",
        "Is the false positive rate low?",
        limit,
        value,
        low,
        high,
        "share",
        "unable" if needed else "pass",
        explanation,
        needed,
    )


def sensitivity(measured: Measured, policy: dict) -> Line:
    """Under every transform enough planted copies must be found."""
    shares = measured.planted
    worst = min(shares, key=lambda row: (row["low"], row["share"]))
    weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
    needed = "More planted copies (planted.copies), of more training patients."
    if not weak:
        explanation = (
            f"Of copies planted in these data {percent(worst['share'])} or more are found under every transform."
        )
    elif worst["share"] >= policy["sensitivity"]:
        explanation = f"{worst['n']} planted copies are too few to be sure that enough are found under {listed(weak)}."
    else:
        explanation = f"Too few planted copies are found under {listed(weak)}."
        needed = f"Two detectors that find copies under {listed(weak)}, or a policy that doesn't ask for these."
    return Line(
        "sensitivity",
        "Would copies be found?",
        policy["sensitivity"],
        worst["share"],
        worst["low"],
        worst["high"],
        "share",
        "unable" if weak else "pass",
        explanation,
        needed,
    )


def copies(measured: Measured, policy: dict) -> Line:
    """Few enough samples may be copies."""
    return _share(
        "copies",
        "Are more samples copies than the policy allows?",
        "samples are copies",
        policy,
        true_copies(measured.rule),
        "More control patients or planted copies, or up to as many samples as there are control patients: intervals "
        "become narrower.",
    )


def patients(measured: Measured, policy: dict) -> Line:
    """Few enough training patients may be exposed, as the rule that leaves least doubt has it."""
    needed, n_patients = "More control patients, planted copies or training patients.", measured.n_training
    least = measured.exposed_if_none_named
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
        measured.exposed,
        needed,
    )


def _share(name: str, question: str, clause: str, policy: dict, interval: tuple, needed: str) -> Line:
    value, low, high = interval
    outcome = against(policy[name], interval)
    statement = f"{percent(value)} of {clause} ({percent(low)} to {percent(high)})"
    if not np.isfinite(high):
        explanation = f"The sensitivity isn't above the false positive rate: how many {clause} can't be said."
    elif outcome == "unable":
        explanation = f"{statement}: the interval holds the limit of {percent(policy[name])}."
    else:
        explanation = f"{statement}, corrected for what is missed and for what is called so by chance."
    return Line(name, question, policy[name], value, low, high, "share", outcome, explanation, needed)


def exceeding(measured: Measured, policy: dict) -> tuple[list[str], list[str]]:
    """Detectors that surely find more copies than allowed at the usual threshold, and those that may at a rare one."""
    surely = [name for name, row in measured.detectors.items() if against(policy["copies"], true_copies(row)) == "fail"]
    perhaps = [name for name, row in measured.alone.items() if against(policy["copies"], true_copies(row)) != "pass"]
    return surely, perhaps


def agreement(measured: Measured, policy: dict) -> Line:
    """What one good detector sees counts, unless two agree on so many samples that `copies` fails."""
    surely, perhaps = exceeding(measured, policy)
    too_many, fails = list(dict.fromkeys([*surely, *perhaps])), copies(measured, policy).outcome == "fail"
    if not too_many:
        explanation = f"None of {len(measured.detectors)} detectors alone finds more copies than the policy allows."
    else:
        explanation = f"More copies than the policy allows, by each of these alone: {listed(too_many)}."
        highest = [measured.alone[name]["true_copies_high"] for name in perhaps]
        if highest:
            explanation += f" Up to {percent(max(highest))} of samples may be copies that stand out in one of them."
    if too_many and not fails:
        n = int(np.any([measured.called[name] for name in too_many], axis=0).sum())
        explanation += f" Of the {n} samples that they call copies two detectors agree on {measured.n_agreed}."
    return counted(
        "agreement",
        "Does any detector alone find too many copies?",
        len(too_many),
        "pass" if not too_many else "fail" if fails and surely else "unable",
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
