"""All that is counted in an audit, once. What follows from it is decided in criteria, conclude and quarantine."""

import math
from dataclasses import dataclass

import numpy as np

from copylens.audit.evidence import HELD_OUT, RARE, Evidence, found_shares, rates
from copylens.audit.exposure import exposed_patients, exposed_share, exposure_of, exposure_rule, groups_of
from copylens.evaluation.prevalence import highest_false_positive_rate


@dataclass(frozen=True)
class Measured:
    """Rates are those of `copylens.audit.evidence.rates`, shares those of `found_shares`, one row per transform."""

    counts: dict[str, int]  # images and patients by role
    n_training: int  # patients of T
    n_calibration: int  # patients of V
    calibration_size: int  # effective sample size of V, in patients
    highest_false_positive_rate: float  # that a threshold of so many may have
    tau: dict[str, float]  # by detector
    rule: dict[str, float]  # rates of two detectors that agree
    each: dict[str, dict[str, float]]  # rates of each detector
    alone: dict[str, dict[str, float]]  # rates of each at a threshold that `RARE` of new patients pass
    planted: list[dict]  # shares of planted copies that the rule finds
    planted_each: dict[str, list[dict]]  # and each detector
    controls: list[dict]  # shares of control images, transformed alike, that the rule calls copies
    called: dict[str, np.ndarray]  # samples that each detector calls copies, bool [S]
    n_agreed: int  # samples that the rule calls copies
    exposed: tuple[float, float, float]  # share of T's patients, low, high
    exposed_if_none_named: float  # its upper end if no sample named anybody
    exposure: dict
    groups: list[dict]
    membership: dict | None


def measure(evidence: Evidence, policy: dict, membership: dict | None) -> Measured:
    """Everything that criteria, quarantine and verdict read."""
    level, n_training = policy["level"], len(evidence.patients)
    planted = found_shares(evidence, evidence.copies("planted"), level)
    planted_each = {name: found_shares(evidence, each.calls("planted"), level) for name, each in evidence.found.items()}
    rule = rates(evidence, _by_rule(evidence), level, shares=planted)
    exposing = exposure_rule(evidence, rule, level)
    size = math.floor(round(evidence.n_independent("calibration"), 6))
    return Measured(
        counts=_counts(evidence),
        n_training=n_training,
        n_calibration=evidence.n_patients("calibration"),
        calibration_size=size,
        highest_false_positive_rate=highest_false_positive_rate(size, level),
        tau={name: each.tau() for name, each in evidence.found.items()},
        rule=rule,
        each={
            name: rates(evidence, _by_detector(evidence, name), level, shares=planted_each[name])
            for name in evidence.found
        },
        alone=_alone(evidence, policy),
        planted=planted,
        planted_each=planted_each,
        controls=found_shares(evidence, evidence.copies("planted"), level, copies=False),
        called={name: each.calls("synthetic") for name, each in evidence.found.items()},
        n_agreed=int(evidence.copies("synthetic").sum()),
        exposed=exposed_patients(evidence, exposing, level),
        exposed_if_none_named=exposed_share(0, evidence.n_samples, n_training, exposing.rates, level)[2],
        exposure=exposure_of(evidence, exposing, policy["patients"], level),
        groups=groups_of(evidence, level),
        membership=membership,
    )


def true_copies(row: dict[str, float]) -> tuple[float, float, float]:
    """(share, low, high) of what `copylens.audit.evidence.rates` found."""
    return row["true_copies"], row["true_copies_low"], row["true_copies_high"]


def _by_rule(evidence: Evidence) -> dict[str, np.ndarray]:
    first = next(iter(evidence.found.values()))
    called = {name: evidence.copies(name) for name in first.similarity}
    # What is a training image needs no detector.
    return called | {"synthetic": called["synthetic"] | evidence.identical}


def _by_detector(evidence: Evidence, detector: str) -> dict[str, np.ndarray]:
    found = evidence.found[detector]
    return {name: found.calls(name) for name in found.similarity}


def _alone(evidence: Evidence, policy: dict) -> dict[str, dict[str, float]]:
    """Each detector's rates at a threshold that `RARE` of new patients' images pass, over the transforms under which it
    finds as many planted copies as the policy asks. False positives are measured on V and H.

    A detector that finds so many under none of them isn't in it.
    """
    rows = {}
    for name, found in evidence.found.items():
        called = {each: found.calls_rarely(each, RARE) for each in found.similarity}
        shares = found_shares(evidence, called["planted"], policy["level"])
        shares = [row for row in shares if row["found"] >= policy["sensitivity"]]
        if shares:
            rows[name] = rates(evidence, called, policy["level"], HELD_OUT, shares)
    return rows


def _counts(evidence: Evidence) -> dict[str, int]:
    names = {"train": "training", "calibration": "calibration", "control": "control"}
    counts = {}
    for role, name in names.items():
        counts[f"{name}_images"] = int((evidence.splits["role"] == role).sum())
        counts[f"{name}_patients"] = evidence.n_patients(role)
    counts["synthetic_images"] = len(evidence.identical)
    return counts | {"different_synthetic_images": len(set(evidence.group))}
