"""The verdict's lines about rates: a limit of the policy, the measured value, and pass, fail or unable."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from copylens.auditing.evidence import exact_interval
from copylens.auditing.measure import Measured, true_copies
from copylens.evaluation.prevalence import highest_false_positive_rate
from copylens.reporting.sentences import listed, percent

MANY = 5000  # patients; larger numbers aren't tried
OTHER_SAMPLES = "Samples of a generator that copies less. More samples or more patients wouldn't undo this FAIL."


@dataclass(frozen=True)
class Line:
    """One demand of the policy and its outcome."""

    name: str
    question: str
    limit: float | None
    value: float | None
    low: float | None
    high: float | None
    unit: str  # share, count or nothing
    outcome: str  # pass, fail or unable
    explanation: str
    needed: str | None = None  # a change that could decide the line, if it is unable
    mended: str | None = None  # a change that could let it pass, if it fails


def counted(name: str, question: str, n: int, outcome: str, explanation: str, **changes: str) -> Line:
    """A line about a number that must be 0. changes: what is needed, or mends it."""
    return Line(name, question, 0, n, None, None, "count", outcome, explanation, **changes)


def against(limit: float, interval: tuple[float, float, float]) -> str:
    """fail if the whole interval is above the limit, pass if none of it is, else (or if it isn't known) unable."""
    _, low, high = interval
    if not np.isfinite(high):
        return "unable"
    return "fail" if low > limit else "pass" if high <= limit else "unable"


def calibration_size(measured: Measured, policy: dict) -> Line:
    """There must be enough calibration patients for a low false positive rate even in the worst case."""
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
        f"{enough if enough < MANY else 'Very many'} calibration patients in all who weren't trained on, for a false "
        f"positive rate of at most {percent(limit)}.",
    )


@cache
def _enough_patients(limit: float, level: float) -> int:
    """The number from which on every number is enough. One more may be worse: the percentile's rank is rounded down."""
    short = [n for n in range(20, MANY) if highest_false_positive_rate(n, level) > limit]
    return short[-1] + 1 if short else 20


def control_rate(measured: Measured, policy: dict) -> Line:
    """The false positive rate must be low, on control images and on the same under each transform."""
    suspicious = [row["transform"] for row in measured.controls if row["low"] > policy["copies"]]
    value, low, high = (measured.rule[f"control_rate{end}"] for end in ("", "_low", "_high"))
    limit = policy["false_positives"]
    explanation = f"The rule calls {percent(value)} of control images copies: its false positive rate."
    needed = None
    if low > policy["copies"]:
        explanation += f" That is surely more than the {percent(policy['copies'])} of copies that the policy allows."
        needed = "Calibration and control patients of one kind, none of them in the training set under another name."
    elif suspicious:
        explanation += f" Under {listed(suspicious)} that rate is surely more than {percent(policy['copies'])}."
        needed = (
            f"Detectors with fewer false positives under {listed(suspicious)}, or a policy without these transforms."
        )
    elif high > limit:
        explanation += f" There are too few control patients to be sure that it is at most {percent(limit)}."
        needed = _control_patients(value, limit, policy["level"])
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


def _control_patients(rate: float, limit: float, level: float) -> str:
    """How many control patients it takes to be sure of the limit, where as many of them are called copies."""
    enough = next((n for n in range(1, MANY) if exact_interval(rate, n, level)[1] <= limit), None)
    if enough is None:
        return "Fewer control images that are called copies; more control patients alone wouldn't do."
    return (
        f"About {enough} control patients in all who weren't trained on, if no larger share of their images is called "
        f"copies than now ({percent(rate)})."
    )


def sensitivity(measured: Measured, policy: dict) -> Line:
    """Under every transform enough planted copies must be found."""
    shares = measured.planted
    worst = min(shares, key=lambda row: (row["low"], row["share"]))
    weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
    needed = "More planted copies (planted.copies), of more training patients."
    if not weak:
        found = "all" if worst["share"] == 1 else f"at least {percent(worst['share'])} of the"
        explanation = f"The rule finds {found} planted copies under every transform."
    elif worst["share"] >= policy["sensitivity"]:
        explanation = f"{worst['n']} planted copies are too few to be sure that enough are found under {listed(weak)}."
    else:
        explanation = f"Too few planted copies are found under {listed(weak)}."
        needed = f"Two detectors that find copies under {listed(weak)}, or a policy without these transforms."
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
        "More control patients or planted copies, or more samples (up to the number of control patients), for narrower "
        "intervals.",
    )


def patients(measured: Measured, policy: dict) -> Line:
    """Few enough training patients may be exposed, by the rule of `copylens.auditing.exposure.exposure_rule`."""
    needed, n_patients = "More control patients, planted copies or training patients.", measured.n_training
    least = measured.exposed_if_none_named
    if least > policy["patients"] > 0:
        enough = math.ceil(least * n_patients / policy["patients"])
        needed = (
            f"At least {enough} training patients, or a higher limit: of {n_patients} training patients up to "
            f"{percent(least)} may be exposed even if no sample names one."
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
    ends = (percent(end, policy[name]) for end in (low, high))
    statement = f"{percent(value)} of {clause} ({' to '.join(ends)})"
    if not np.isfinite(high):
        explanation = f"The sensitivity isn't above the false positive rate, so how many {clause} isn't known."
    elif outcome == "unable":
        explanation = f"{statement}: the interval contains the limit of {percent(policy[name])}."
    else:
        explanation = f"{statement}, corrected for sensitivity and false positive rate."
    return Line(name, question, policy[name], value, low, high, "share", outcome, explanation, needed, OTHER_SAMPLES)


def exceeding(measured: Measured, policy: dict) -> tuple[list[str], list[str]]:
    """(detectors that surely find too many copies at the usual threshold, detectors that may at the rarer one)."""
    surely = [name for name, row in measured.detectors.items() if against(policy["copies"], true_copies(row)) == "fail"]
    perhaps = [name for name, row in measured.alone.items() if against(policy["copies"], true_copies(row)) != "pass"]
    return surely, perhaps


def agreement(measured: Measured, policy: dict) -> Line:
    """No detector alone may find too many copies; fail if one surely does and `copies` fails too, else unable."""
    surely, perhaps = exceeding(measured, policy)
    too_many, fails = list(dict.fromkeys([*surely, *perhaps])), copies(measured, policy).outcome == "fail"
    if not too_many:
        explanation = (
            f"None of {len(measured.detectors)} detectors alone surely finds more copies than the policy allows, nor "
            "may one at its rarer threshold."
        )
    else:
        unsure = [name for name in perhaps if name not in surely]
        explanation = " ".join(
            f"{how} more copies than the policy allows by {listed(names)}{', each' if len(names) > 1 else ''} alone."
            for how, names in (("Surely", surely), ("Perhaps", unsure))
            if names
        )
        if perhaps:
            highest = max(measured.alone[name]["true_copies_high"] for name in perhaps)
            explanation += f" At a rarer threshold one has up to {percent(highest, policy['copies'])}."
    if too_many and not fails:
        n = int(np.any([measured.called[name] for name in too_many], axis=0).sum())
        explanation += f" They call {n} samples copies, the rule {measured.n_agreed}."
    return counted(
        "agreement",
        "Does any detector alone find too many copies?",
        len(too_many),
        "pass" if not too_many else "fail" if fails and surely else "unable",
        explanation,
        needed="A look at the samples that only some detectors call copies, or a release without these samples.",
        mended=OTHER_SAMPLES,
    )
