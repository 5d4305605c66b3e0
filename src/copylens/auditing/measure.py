"""All counts and rates of an audit, computed once. criteria, conclude and quarantine decide by them.

T are the training images, V calibration, H control, S synthetic ones.
"""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from copylens.auditing.disclosure import Disclosure, Risk, disclose, residual_risk
from copylens.auditing.evidence import RARE, Evidence, called_shares, exact_interval, rates
from copylens.auditing.exposure import exposed_patients, exposed_share, exposure_of, exposure_rule, groups_of
from copylens.auditing.findings import HELD_OUT, Findings
from copylens.evaluation.areas import auc_interval
from copylens.evaluation.prevalence import highest_false_positive_rate
from copylens.imaging.axes import words_of

Interval = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True)
class Kind:
    """Orientations of samples and a classifier of a few of their pixels, beside images of V and H."""

    otherwise: Interval  # share of samples that fit far better in another orientation or order of slices
    otherwise_real: float  # the same share of V and H
    auc: Interval | None  # of a classifier of samples against V and H; None for too few images
    nearer: dict[str, Interval]  # by detector, the chance that a sample is nearer to T than an image of V and H is
    fits: list[tuple[str, int]]  # orientations in which those samples fit, and their numbers; commonest first
    zoom: float  # under which the samples' mean image is most similar to the training images'
    shift: np.ndarray  # the same, as a share of each axis, float [axis]


@dataclass(frozen=True)
class Measured:
    """Rates are those of `copylens.auditing.evidence.rates`, shares those of `called_shares`, one row per transform."""

    counts: dict[str, int]  # images and patients by role
    n_training: int  # patients of T
    n_calibration: int  # patients of V
    calibration_size: int  # effective sample size of V, in patients
    highest_false_positive_rate: float  # that a threshold of so many may have
    n_identical: int  # samples that are images of T
    n_identical_held_out: int  # samples that are images of V or H
    kind: Kind
    n_held_out: int  # images of V and H
    n_like_training: int  # of these, images more similar to a training patient than chance explains
    near_held_out: Interval  # share of samples that are called copies of V or H
    near_held_out_training: Interval  # the same share of T's images
    tau: dict[str, float]  # by detector
    rule: dict[str, float]  # rates of the audit's rule
    detectors: dict[str, dict[str, float]]  # rates of each detector
    alone: dict[str, dict[str, float]]  # rates of each at a threshold that `RARE` of new patients pass
    planted: list[dict]  # shares of planted copies that the rule finds
    planted_by_detector: dict[str, list[dict]]
    controls: list[dict]  # shares of control images under the same transforms that the rule calls copies
    called: dict[str, np.ndarray]  # samples that each detector calls copies, bool [S]
    n_agreed: int  # samples that the rule calls copies
    exposed: Interval  # share of T's patients
    exposed_if_none_named: float  # its upper end if no sample named anybody
    exposure: dict
    groups: list[dict]
    membership: dict | None  # from weights
    disclosure: Disclosure
    singling_out: Risk


def measure(
    evidence: Evidence, policy: dict, membership: dict | None, disclosure: Disclosure | None = None
) -> Measured:
    """Everything that criteria, quarantine and verdict read. disclosure: if it is known already."""
    level, n_training = policy["level"], len(evidence.patients)
    calls = {
        name: {of: detector.calls(of) for of in detector.similarity} for name, detector in evidence.detectors.items()
    }
    planted, rule = rates_of_rule(evidence, level)
    planted_by_detector = {name: called_shares(evidence, called["planted"], level) for name, called in calls.items()}
    exposing = exposure_rule(evidence, rule, level)
    size = math.floor(round(evidence.n_independent("calibration"), 6))
    alike = evidence.like_training()
    near, near_training = _near_held_out(evidence, level)
    return Measured(
        counts=_counts(evidence),
        n_training=n_training,
        n_calibration=evidence.n_patients("calibration"),
        calibration_size=size,
        highest_false_positive_rate=highest_false_positive_rate(size, level),
        n_identical=int(evidence.identical.sum()),
        n_identical_held_out=int(evidence.is_held_out.sum()),
        kind=_kind(evidence, level),
        n_held_out=len(alike),
        n_like_training=int((alike >= 0).sum()),
        near_held_out=near,
        near_held_out_training=near_training,
        tau={name: detector.tau() for name, detector in evidence.detectors.items()},
        rule=rule,
        detectors={
            name: rates(evidence, called, level, shares=planted_by_detector[name]) for name, called in calls.items()
        },
        alone=_alone(evidence, policy),
        planted=planted,
        planted_by_detector=planted_by_detector,
        controls=called_shares(evidence, evidence.copies("planted"), level, copies=False),
        called={name: called["synthetic"] for name, called in calls.items()},
        n_agreed=int(evidence.copies("synthetic").sum()),
        exposed=exposed_patients(evidence, exposing, level),
        exposed_if_none_named=exposed_share(0, evidence.n_samples, n_training, exposing.rates, level)[2],
        exposure=exposure_of(evidence, exposing, policy["patients"], level),
        groups=groups_of(evidence, level),
        membership=membership,
        disclosure=disclosure or disclose(evidence, np.ones(len(evidence.group), bool), level, policy["seed"]),
        singling_out=_singling_out(evidence, rule, near[0], level),
    )


def rates_of_rule(evidence: Evidence, level: float) -> tuple[list[dict], dict[str, float]]:
    """Shares of planted copies by transform, and the rates, of the evidence's rule."""
    planted = called_shares(evidence, evidence.copies("planted"), level)
    found = rates(evidence, _called_by_rule(evidence), level, shares=planted)
    return planted, _at_least(float(evidence.identical.mean()), found)


def true_copies(row: dict[str, float]) -> Interval:
    """(share, low, high) of `copylens.auditing.evidence.rates`."""
    return row["true_copies"], row["true_copies_low"], row["true_copies_high"]


def _singling_out(evidence: Evidence, rule: dict[str, float], near_held_out: float, level: float) -> Risk:
    """Samples that are called copies of T, the same of V and H, and, as a naive guess, other patients' own images."""
    n = evidence.n_samples
    n_near = min(n, len(next(iter(evidence.held_out.values())).similarity["synthetic"]))
    residual = residual_risk(rule["called"], n, near_held_out, n_near, level)
    return Risk(rule["called"], near_held_out, rule["control_rate"], residual)


def _at_least(certain: float, rule: dict[str, float]) -> dict[str, float]:
    """Rates whose share of true copies is at least that of the samples that are T's images pixel by pixel."""
    names = ("true_copies", "true_copies_low", "true_copies_high")
    return rule | {name: max(certain, rule[name]) for name in names if math.isfinite(rule[name])}


def _called_by_rule(evidence: Evidence) -> dict[str, np.ndarray]:
    first = next(iter(evidence.detectors.values()))
    called = {name: evidence.copies(name) for name in first.similarity}
    # A sample that equals a training image is a copy without any detector.
    return called | {"synthetic": called["synthetic"] | evidence.identical}


def _alone(evidence: Evidence, policy: dict) -> dict[str, dict[str, float]]:
    """Each detector's rates at a threshold that `RARE` of new patients' images pass, over the transforms under which it
    has the sensitivity that the policy asks for. False positives are measured on V and H.

    A detector without such a transform is left out.
    """
    rows = {}
    for name, detector in evidence.detectors.items():
        called = {of: detector.calls_rarely(of, RARE) for of in detector.similarity}
        shares = called_shares(evidence, called["planted"], policy["level"])
        shares = [row for row in shares if row["share"] >= policy["sensitivity"]]
        if shares:
            rows[name] = rates(evidence, called, policy["level"], HELD_OUT, shares)
    return rows


def _near_held_out(evidence: Evidence, level: float) -> tuple[Interval, Interval]:
    """Share of samples, and of T's images, that two detectors call copies of one patient of V or H."""
    intervals = []
    for name, n in (("synthetic", evidence.n_samples), ("train", evidence.n_independent("train"))):
        called = evidence.near_held_out(name)
        share = float(called.mean())
        intervals.append((share, *exact_interval(share, min(n, len(called)), level)))
    return intervals[0], intervals[1]


def _kind(evidence: Evidence, level: float) -> Kind:
    arrays, z = evidence.kind, norm.ppf(0.5 + level / 2)
    n, n_real = evidence.n_samples, evidence.n_independent(*HELD_OUT)
    otherwise = _misoriented(arrays, "synthetic")
    share = float(otherwise.mean())
    auc = None
    if len(arrays["synthetic_score"]):
        real_scores = np.concatenate([arrays[f"{name}_score"] for name in HELD_OUT])
        auc = auc_interval(arrays["synthetic_score"], real_scores, n, n_real, z)
    dims = arrays["shift"].size
    pairs = zip(arrays["synthetic_orientation"][otherwise], arrays["synthetic_sorted"][otherwise], strict=True)
    words = Counter(words_of(int(orientation), int(axis), dims) for orientation, axis in pairs)
    return Kind(
        otherwise=(share, *exact_interval(share, n, level)),
        otherwise_real=float(np.concatenate([_misoriented(arrays, name) for name in HELD_OUT]).mean()),
        auc=auc,
        nearer={name: _nearer(detector, n, n_real, z) for name, detector in evidence.detectors.items()},
        fits=words.most_common(),
        zoom=float(arrays["zoom"]),
        shift=arrays["shift"],
    )


def _misoriented(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Which images of a set would fit far better in another orientation or order of slices, bool [image]."""
    return (arrays[f"{name}_orientation"] != 0) | (arrays[f"{name}_sorted"] >= 0)


def _nearer(detector: Findings, n: float, n_real: float, z: float) -> Interval:
    real = np.concatenate([detector.similarity[name] for name in HELD_OUT])
    return auc_interval(detector.similarity["synthetic"], real, n, n_real, z)


def _counts(evidence: Evidence) -> dict[str, int]:
    names = {"train": "training", "calibration": "calibration", "control": "control"}
    counts = {}
    for role, name in names.items():
        counts[f"{name}_images"] = int((evidence.splits["role"] == role).sum())
        counts[f"{name}_patients"] = evidence.n_patients(role)
    counts["synthetic_images"] = len(evidence.identical)
    return counts | {"different_synthetic_images": len(set(evidence.group))}
