"""What is left of a set of samples when copies are withheld, and an audit of that."""

import numpy as np

from copylens.audit.criteria import exceeding
from copylens.audit.evidence import Evidence, exact_interval, found_shares
from copylens.audit.measure import Measured
from copylens.audit.outcomes import PASS, UNABLE
from copylens.reporting.sentences import listed, percent

STRICTER = (95, 90, 80, 70, 60, 50)  # percentiles of V above which samples are withheld, tried in this order


def withheld_samples(evidence: Evidence, percentile: float, detectors: list[str]) -> np.ndarray:
    """What isn't released: what the rule, or one of `detectors` at a percentile of V, calls a copy. Bool [S].

    And what is a real image.
    """
    return _withheld(evidence, "synthetic", percentile, detectors) | evidence.identical | evidence.is_held_out


def quarantine(evidence: Evidence, measured: Measured, policy: dict, shaky: list[str]) -> dict:
    """What is left when copies are withheld, audited again, with ever lower thresholds until it passes.

    Withheld is what the rule calls a copy, and what the first detector alone does, and each of those that call more
    samples than the policy allows by themselves. What may still be in the rest are the copies that all of these miss.
    residual: of the true copies' share, as the rule or such a detector has it, whichever is the largest, the part
    that is missed, over the share that is left; planted copies say what is missed. Its upper end is that of copies
    which are all of the kind that is found least, in the true copies' share as in what is missed.

    shaky: why nothing that is counted means anything.
    """
    surely, perhaps = exceeding(measured, policy)
    perhaps = [name for name in perhaps if name not in surely]
    detectors = list(dict.fromkeys([next(iter(measured.each)), *surely, *perhaps]))
    n, n_patients, tried = measured.counts["synthetic_images"], measured.n_training, []
    rows = [measured.rule, *(measured.each[name] for name in surely), *(measured.alone[name] for name in perhaps)]
    true = [np.max([row[f"true_copies{end}"] for row in rows]) for end in ("", "_low", "_high")]
    for percentile in STRICTER:
        withheld = withheld_samples(evidence, percentile, detectors)
        released = int((~withheld).sum())
        shares = found_shares(evidence, _withheld(evidence, "planted", percentile, detectors), policy["level"])
        found = float(np.mean([row["found"] for row in shares]))
        found_high = exact_interval(found, evidence.n_planted, policy["level"])[1]
        # All copies may be of the kind that is found least.
        found_low = min(row["low"] for row in shares)
        missed = [
            share * (1 - caught) * n / max(released, 1)
            for share, caught in zip(true, (found, found_high, found_low), strict=True)
        ]
        value, low, high = (float(min(1.0, each)) if np.isfinite(each) else None for each in missed)
        result = {
            "withheld": n - released,
            "released": released,
            "percentile": percentile,
            "detectors": detectors,
            "residual": value,
            "residual_low": low,
            "residual_high": high,
        }
        if shaky:
            return result | {"verdict": UNABLE, "reasons": shaky}
        weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
        enough = released and high is not None and high <= policy["copies"]
        few = released and high is not None and high * released <= policy["patients"] * n_patients
        if enough and few and not weak:
            reason = (
                f"{n - released} of {n} samples are withheld. Of the {released} that are left at most {percent(high)} "
                f"are copies that were missed, given that {percent(found)} of planted copies are withheld too."
            )
            return result | {"verdict": PASS, "reasons": [reason]}
        tried.append((result, weak))
    # The threshold that leaves the least doubt; of equals the one that withholds least.
    result, weak = min(tried, key=lambda each: 1.0 if each[0]["residual_high"] is None else each[0]["residual_high"])
    if not result["released"]:
        reason = "Nothing is left: every sample is withheld."
    elif weak:
        reason = f"Copies under {listed(weak)} are missed too often for the rest to be sure."
    elif result["residual_high"] is None:
        reason = "The rule's sensitivity isn't above its false positive rate, so nothing is known of the rest."
    else:
        reason = (
            f"Even with {result['withheld']} of {n} samples withheld, up to {percent(result['residual_high'])} of the "
            f"{result['released']} that are left may be copies that were missed; the policy allows "
            f"{percent(policy['copies'])} of samples and {percent(policy['patients'])} of patients. More planted "
            "copies (planted.copies) would narrow this; with a generator that mostly copies, nothing would."
        )
    return result | {"verdict": UNABLE, "reasons": [reason]}


def _withheld(evidence: Evidence, name: str, percentile: float, detectors: list[str]) -> np.ndarray:
    alone = [evidence.found[detector].calls(name, percentile) for detector in detectors]
    return evidence.copies(name) | np.any(alone, axis=0)
