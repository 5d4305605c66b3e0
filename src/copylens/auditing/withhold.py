"""Which samples are withheld at a threshold, and which share of planted copies is withheld with them.

V are the calibration images, H the control images, S the samples. The threshold is one of V and H together, so that the
list of withheld samples doesn't hang on which of them are V.
"""

from dataclasses import dataclass

import numpy as np

from copylens.auditing.disclosure import Disclosure, disclose
from copylens.auditing.evidence import Evidence, called_shares, exact_interval


@dataclass(frozen=True)
class Rest:
    """The numbers of samples withheld and left at a percentile of V and H, and the sensitivity of withholding."""

    percentile: float
    detectors: list[str]  # each of which withholds by itself
    n_withheld: int
    n_released: int
    planted: list[dict]  # shares of planted copies that are withheld too (`copylens.auditing.evidence.called_shares`)
    sensitivity: float  # mean of these shares
    sensitivity_high: float
    disclosure: Disclosure  # by attacks with the samples that are left


def withheld_samples(evidence: Evidence, percentile: float, detectors: list[str]) -> np.ndarray:
    """Samples called copies by the rule, or by one of `detectors` at a percentile, and real images, bool [S]."""
    return _withheld(evidence, "synthetic", percentile, detectors) | evidence.identical | evidence.is_held_out


def measure_rest(evidence: Evidence, percentile: float, detectors: list[str], policy: dict) -> Rest:
    """Count the samples and the planted copies that are withheld at a percentile, and attack with the others."""
    level = policy["level"]
    withheld = withheld_samples(evidence, percentile, detectors)
    shares = called_shares(evidence, _withheld(evidence, "planted", percentile, detectors), level)
    sensitivity = float(np.mean([row["share"] for row in shares]))
    return Rest(
        percentile=percentile,
        detectors=detectors,
        n_withheld=int(withheld.sum()),
        n_released=int((~withheld).sum()),
        planted=shares,
        sensitivity=sensitivity,
        sensitivity_high=exact_interval(sensitivity, evidence.n_planted, level)[1],
        disclosure=disclose(evidence, ~withheld, level, policy["seed"]),
    )


def _withheld(evidence: Evidence, name: str, percentile: float, detectors: list[str]) -> np.ndarray:
    found = [evidence.detectors[detector] for detector in detectors]
    alone = [each.similarity[name] > each.held_out_tau(percentile) for each in found]
    return evidence.copies(name) | np.any(alone, axis=0)
