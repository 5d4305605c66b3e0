"""Whether the rest may be released when copies are withheld: the same audit, of the samples that are left."""

import math
from typing import Any

import numpy as np

from copylens.audit.criteria import exceeding
from copylens.audit.measure import Measured, true_copies
from copylens.audit.outcomes import PASS, UNABLE
from copylens.audit.withhold import Rest
from copylens.reporting.sentences import listed, percent

STRICTER = (95, 90, 80, 70, 60, 50)  # percentiles of V above which samples are withheld, tried in this order


def withholding(measured: Measured, policy: dict) -> list[str]:
    """Detectors that withhold by themselves: the first one, and all that alone find more copies than allowed."""
    surely, perhaps = exceeding(measured, policy)
    return list(dict.fromkeys([next(iter(measured.detectors)), *surely, *perhaps]))


def quarantine(measured: Measured, rests: list[Rest], policy: dict, shaky: list[str]) -> dict:
    """The first of `rests` that passes, or the one that leaves the least doubt, with the verdict on it and the reasons.

    rests: by ever lower thresholds (`STRICTER`). shaky: why nothing that is counted means anything.
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
        row |= residual
        if shaky:
            return row | {"verdict": UNABLE, "reasons": shaky}
        weak = [planted["transform"] for planted in rest.planted if planted["low"] < policy["sensitivity"]]
        most = high if rest.n_released and high is not None else math.inf
        enough = most <= policy["copies"]
        few = most * rest.n_released <= policy["patients"] * measured.n_training
        if enough and few and not weak:
            reason = (
                f"{rest.n_withheld} of {n} samples are withheld. Of the {rest.n_released} that are left at most "
                f"{percent(most)} are copies that were missed, given that {percent(rest.sensitivity)} of planted "
                "copies are withheld too."
            )
            return row | {"verdict": PASS, "reasons": [reason]}
        tried.append((row, weak))
    # The threshold that leaves the least doubt; of equals the one that withholds least.
    row, weak = min(tried, key=lambda pair: 1.0 if pair[0]["residual_high"] is None else pair[0]["residual_high"])
    return row | {"verdict": UNABLE, "reasons": [_why_unable(row, weak, n, policy)]}


def _residual(measured: Measured, rest: Rest, policy: dict) -> tuple[dict, float | None]:
    """The share of copies among the samples that are left: residual, residual_low, residual_high; and that high again.

    Of the true copies' share, by the rule or by a detector that withholds, whichever is the largest, the part that is
    missed, over the share that is left; planted copies show how many are missed. The upper end assumes that all copies
    are of the kind that is found least. None where the true copies' share isn't known.
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
        return f"Copies under {listed(weak)} are missed too often for the rest to be sure."
    if row["residual_high"] is None:
        return "The rule's sensitivity isn't above its false positive rate, so nothing is known of the rest."
    return (
        f"Even with {row['withheld']} of {n} samples withheld, up to {percent(row['residual_high'])} of the "
        f"{row['released']} that are left may be copies that were missed; the policy allows "
        f"{percent(policy['copies'])} of samples and {percent(policy['patients'])} of patients. More planted "
        "copies (planted.copies) would narrow this; with a generator that mostly copies, nothing would."
    )
