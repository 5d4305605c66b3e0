"""The rules by which an image is a copy: two detectors agree, or all detectors' combined evidence is strong enough.

A rule is made of the detectors' findings and the patient of each image of V. It has a `name` for tables, a `text`, the
share `usual` of new patients' images that pass its thresholds and the shares `rarer` that pass rarer ones (of V and H,
by the tail of their values), and `named_by`. T are the training images, V calibration, H control ones.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from copylens.auditing.findings import HELD_OUT, Findings
from copylens.evaluation.combination import CALIBRATION, Candidates, combine_sets
from copylens.evaluation.thresholds import PERCENTILE, tail_threshold


class Agreement:
    """Any two detectors call an image a copy, each by its own threshold, and name the same patient."""

    name = "agreement of two"
    text = "A sample is called a copy where any two detectors call it one and name the same patient."
    usual, rarer = 1 - PERCENTILE / 100, (0.01, 0.001)

    def __init__(self, detectors: Sequence[Findings], calibration_patients: np.ndarray):
        self.detectors = detectors

    def named_by(self, name: str, rate: float | None = None) -> np.ndarray:
        """The position of the detector that names the copied patient, -1 for no copy, int [image]."""
        calls = [detector.calls_rarely(name, rate) for detector in self.detectors]
        return agreeing(calls, [detector.patient[name] for detector in self.detectors])


class Combined:
    """The detectors' combined evidence for one patient (`copylens.evaluation.combination`) is above a threshold.

    A share `usual` of V's images passes it by the tail of their statistics, and at most 5 % do.
    """

    name = "combined evidence"
    text = (
        "A sample is called a copy where the detectors' evidence for one patient, taken together, is stronger than for "
        "99 % of new patients' images."
    )
    usual, rarer = 0.01, (0.001, 0.0001)

    def __init__(self, detectors: Sequence[Findings], calibration_patients: np.ndarray):
        self.detectors = detectors
        sets = {
            name: [Candidates(each.similarity[name][:, None], each.patient[name][:, None]) for each in detectors]
            for name in detectors[0].similarity
        }
        self.combined = combine_sets(sets, np.unique(calibration_patients, return_inverse=True)[1])
        self._thresholds: dict[float | None, float] = {}

    def named_by(self, name: str, rate: float | None = None) -> np.ndarray:
        """The position of the first detector that names the copied patient, -1 for no copy, int [image]."""
        statistic, patient = self.combined[name]
        named = np.stack([detector.patient[name] for detector in self.detectors])
        return np.where(statistic > self.threshold(rate), np.argmax(named == patient, axis=0), -1)

    def threshold(self, rate: float | None = None) -> float:
        """The statistic that a share `usual` of V passes (None), or a share `rate` of V and H, and at least that."""
        if rate not in self._thresholds:
            if rate is None:
                nulls = [self.combined[name][0] for name in CALIBRATION if len(self.combined[name][0])]
                values = [max(np.percentile(null, PERCENTILE), tail_threshold(null, self.usual)) for null in nulls]
            else:
                both = [[self.combined[f"{name}{of}"][0] for name in HELD_OUT] for of in ("", "_decoded")]
                tails = [tail_threshold(np.concatenate(null), rate) for null in both if all(map(len, null))]
                values = [self.threshold(), *tails]
            self._thresholds[rate] = float(max(values))
        return self._thresholds[rate]


RULES: dict[str, type[Agreement] | type[Combined]] = {"agreement": Agreement, "combined": Combined}


def agreeing(calls: list[np.ndarray], patients: list[np.ndarray]) -> np.ndarray:
    """Position of the first of two detectors that call an image a copy and name the same patient, -1 for none."""
    position = np.full(len(calls[0]), -1)
    for one, other in reversed(list(combinations(range(len(calls)), 2))):
        position[calls[one] & calls[other] & (patients[one] == patients[other])] = one
    return position
