"""Whether the rest may be released when copies are withheld: the same audit, of the samples that are left.

V are the calibration images, H the control images.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from copylens.auditing.criteria import exceeding
from copylens.auditing.measure import Measured, true_copies
from copylens.auditing.outcomes import PASS, UNABLE
from copylens.auditing.risks import OF_SAMPLES
from copylens.auditing.withhold import Rest
from copylens.reporting.sentences import listed, percent

STRICTER = (95, 90, 80, 70, 60, 50)  # percentiles of V and H above which samples are withheld, tried in this order


def withholding(measured: Measured, policy: dict) -> list[str]:
    """Detectors whose calls alone withhold a sample: the first, and each that finds too many copies by itself."""
    surely, perhaps = exceeding(measured, policy)
    return list(dict.fromkeys([next(iter(measured.detectors)), *surely, *perhaps]))


def quarantine(measured: Measured, rests: Iterable[Rest], policy: dict, distrust: list[str]) -> dict:
    """The first of `rests` that passes, or else the one with the lowest upper end, with its verdict and the reasons.

    rests: at ever lower thresholds (`STRICTER`). distrust: explanations of the lines that make all rates untrustworthy.
    """
    n, tried = measured.counts["synthetic_images"], []
    for rest in rests:
        residual, high = _residual(measured, rest, policy)
        row: dict[str, Any] = {
            "withheld": rest.n_withheld,
            "released": rest.n_released,
            "percentile": rest.percentile,
            "detectors": rest.detectors,
        }
        row |= residual | {"disclosure": rest.disclosure.row()}
        if distrust:
            return row | {"verdict": UNABLE, "reasons": distrust}
        reasons = _reasons(measured, rest, row, policy)
        if not reasons:
            reason = (
                f"{rest.n_withheld} of {n} samples are withheld. At most {percent(high)} of the {rest.n_released} that "
                f"are left are missed copies, because {percent(rest.sensitivity)} of planted copies are withheld at "
                "the same thresholds. Attacks with the samples that are left find no more than the policy allows."
            )
            return row | {"verdict": PASS, "reasons": [reason]}
        tried.append(row | {"verdict": UNABLE, "reasons": reasons})
    # The threshold with the lowest upper end; of equals the one that withholds least.
    return min(tried, key=lambda row: 1.0 if row["residual_high"] is None else row["residual_high"])


def _reasons(measured: Measured, rest: Rest, row: dict, policy: dict) -> list[str]:
    """Why a rest can't pass; empty if it does."""
    high, reasons = row["residual_high"], []
    weak = [planted["transform"] for planted in rest.planted if planted["low"] < policy["sensitivity"]]
    most = high if rest.n_released and high is not None else math.inf
    few = most * rest.n_released <= policy["patients"] * measured.n_training
    if weak or not few or most > policy["copies"]:
        reasons.append(_why_unable(row, weak, measured.counts["synthetic_images"], policy))
    if rest.n_released:
        lines = [line(rest.disclosure, policy) for line in OF_SAMPLES]
        reasons += [f"Of the samples that are left: {line.explanation}" for line in lines if line.outcome != "pass"]
    return list(dict.fromkeys(reasons))


def _residual(measured: Measured, rest: Rest, policy: dict) -> tuple[dict, float | None]:
    """({residual, residual_low, residual_high}, its upper end): the share of missed copies among the samples left.

    The share of true copies, the largest by the rule or by a detector that withholds, times the share of planted copies
    that isn't withheld, over the share of samples that is left. The upper end assumes that all copies are of the kind
    with the lowest sensitivity. None where the share of true copies isn't known.
    """
    surely, perhaps = exceeding(measured, policy)
    rows = [measured.rule, *(measured.detectors[name] for name in surely)]
    rows += [measured.alone[name] for name in perhaps if name not in surely]
    true = [np.max(ends) for ends in zip(*map(true_copies, rows), strict=True)]
    least = min(row["low"] for row in rest.planted)
    n, released = measured.counts["synthetic_images"], max(rest.n_released, 1)
    missed = [
        share * (1 - sensitivity) * n / released
        for share, sensitivity in zip(true, (rest.sensitivity, rest.sensitivity_high, least), strict=True)
    ]
    value, low, high = (float(min(1.0, share)) if np.isfinite(share) else None for share in missed)
    return {"residual": value, "residual_low": low, "residual_high": high}, high


def _why_unable(row: dict, weak: list[str], n: int, policy: dict) -> str:
    if not row["released"]:
        return "Nothing is left: every sample is withheld."
    if weak:
        return f"Too many planted copies under {listed(weak)} are missed to be sure of the rest."
    if row["residual_high"] is None:
        return "The rule's sensitivity isn't above its false positive rate, so copies in the rest can't be estimated."
    return (
        f"Even with {row['withheld']} of {n} samples withheld, up to "
        f"{percent(row['residual_high'], policy['copies'])} of the {row['released']} that are left may be missed "
        f"copies; the policy allows {percent(policy['copies'])} of samples and {percent(policy['patients'])} of "
        "patients. More planted copies (planted.copies) would narrow this; with a generator that mostly copies, "
        "nothing would."
    )
