"""One detector's results, and its thresholds.

T are the training images, V calibration, H control, S synthetic ones.
"""

from dataclasses import dataclass, field

import numpy as np

from copylens.evaluation.thresholds import PERCENTILE, matched_threshold, tail_threshold

HELD_OUT = ("calibration", "control")


@dataclass(frozen=True)
class Findings:
    """One detector's results: each image's similarity to its nearest training image, and that image's patient."""

    similarity: dict[str, np.ndarray]  # by set, float32 [image]
    patient: dict[str, np.ndarray]  # by set, the number of a patient of T [image]
    _taus: dict[tuple[str, float], float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def tau(self, percentile: float = PERCENTILE) -> float:
        """The matched rule's threshold: the larger one of V and, where there is a decoder, of decoded V."""
        if ("usual", percentile) not in self._taus:
            held_out = (self.similarity[name] for name in ("calibration", "calibration_decoded"))
            self._taus["usual", percentile] = matched_threshold(held_out, percentile)
        return self._taus["usual", percentile]

    def held_out_tau(self, percentile: float) -> float:
        """The same of V and H together, for withholding: it doesn't hang on which of them is which."""
        if ("held out", percentile) not in self._taus:
            self._taus["held out", percentile] = matched_threshold(self._both(), percentile)
        return self._taus["held out", percentile]

    def rare_tau(self, rate: float) -> float:
        """The threshold that a share `rate` of new patients' images passes, by the tail of V and H; at least `tau`."""
        if ("rare", rate) not in self._taus:
            tails = (tail_threshold(values, rate) for values in self._both() if len(values))
            self._taus["rare", rate] = max(self.tau(), *tails)
        return self._taus["rare", rate]

    def _both(self) -> list[np.ndarray]:
        """Similarities of V and H, and of decoded V and H."""
        return [np.concatenate([self.similarity[f"{name}{of}"] for name in HELD_OUT]) for of in ("", "_decoded")]

    def calls(self, name: str) -> np.ndarray:
        """Which images of a set are above the threshold, bool [image]."""
        return self.similarity[name] > self.tau()

    def calls_rarely(self, name: str, rate: float | None) -> np.ndarray:
        """Which images of a set are above the threshold of that rate, or for None above the usual one, bool [image]."""
        return self.similarity[name] > (self.tau() if rate is None else self.rare_tau(rate))


@dataclass(frozen=True)
class Near:
    """One detector's comparison of samples, and of training images, with the images of V and H."""

    similarity: dict[str, np.ndarray]  # of the sets synthetic and train to the nearest of V and H, float32 [image]
    patient: dict[str, np.ndarray]  # by set, the number of a patient of V or H [image]

    def calls(self, name: str) -> np.ndarray:
        """Which images are more similar to V and H than 95 % of T, other patients' images, are, bool [image]."""
        return self.similarity[name] > np.percentile(self.similarity["train"], PERCENTILE)
