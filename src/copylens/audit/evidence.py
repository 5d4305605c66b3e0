"""Which samples are copies, and what the same rule says of innocent images and of planted copies.

The rule: a sample is a copy where any two detectors call it one by the matched rule (see `copylens.calibration`) and
name the same patient. Innocent images that two detectors accuse by chance rarely lie nearest to the same patient in
both, so the rule accuses far fewer than one detector does.

Shares of real images have intervals by patients, not by images: where one patient's images are so alike that they all
say the same, patients of m images each say as much as (sum of m)^2 / sum of m^2 patients of one image each (Kish 1965,
"Survey Sampling").
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import beta

from copylens.calibration import PERCENTILE
from copylens.files import read_arrays, read_table
from copylens.prevalence import true_share
from copylens.splits import rows_of

SETS = ("synthetic", "calibration", "control", "calibration_decoded", "control_decoded", "planted")


@dataclass(frozen=True)
class Found:
    """What one detector says: each image's similarity to its nearest training image, and that one's patient."""

    similarity: dict[str, np.ndarray]  # by set, float32 [image]
    patient: dict[str, np.ndarray]  # by set, the number of a patient of T [image]

    def tau(self, percentile: float = PERCENTILE) -> float:
        """The matched rule's threshold, on V as it is and, where there is a decoder, after it: the larger one."""
        held_out = [self.similarity[name] for name in ("calibration", "calibration_decoded")]
        return float(max(np.percentile(values, percentile) for values in held_out if len(values)))

    def calls(self, name: str, percentile: float = PERCENTILE) -> np.ndarray:
        """Which images of a set are above the threshold, bool [image]."""
        return self.similarity[name] > self.tau(percentile)


@dataclass(frozen=True)
class Evidence:
    """All that an audit's detectors say. Of two that agree, the first in this order gives the patient and the image."""

    found: dict[str, Found]
    splits: pd.DataFrame  # scan, patient, role, about_...
    identical_to: np.ndarray  # int [S], number of the patient whose training image it is pixel by pixel, -1 for none
    sources: pd.DataFrame  # of the planted images: patient, role (train: a copy; control: innocent, transformed alike)
    transforms: list[str]

    @property
    def patients(self) -> np.ndarray:
        """T's patients, in the order of their numbers."""
        return np.unique(self.splits["patient"][self.splits["role"] == "train"])

    @property
    def identical(self) -> np.ndarray:
        """Which samples are, pixel by pixel, training images, bool [S]."""
        return self.identical_to >= 0

    @property
    def is_copy(self) -> np.ndarray:
        """Which of the planted images are copies, bool [source]."""
        return (self.sources["role"] == "train").to_numpy()

    def copies(self, name: str) -> np.ndarray:
        """Which images of a set the rule calls copies, bool [image]."""
        return self.named_by(name) >= 0

    def named_by(self, name: str) -> np.ndarray:
        """Which detector names the patient that the rule calls an image a copy of: its position, -1 for no copy."""
        detectors = list(self.found.values())
        position = np.full(len(detectors[0].similarity[name]), -1)
        for (number, one), (_, other) in reversed(list(combinations(enumerate(detectors), 2))):
            position[one.calls(name) & other.calls(name) & (one.patient[name] == other.patient[name])] = number
        return position

    def nearest_patient(self, name: str) -> np.ndarray:
        """The number of the patient whom the rule names, or for no copy the first detector does, [image].

        Of a sample that is a training image, that one's.
        """
        named = np.stack([found.patient[name] for found in self.found.values()])
        nearest = np.take_along_axis(named, np.maximum(self.named_by(name), 0)[None], axis=0)[0]
        return np.where(self.identical, self.identical_to, nearest) if name == "synthetic" else nearest

    def n_patients(self, role: str) -> int:
        """How many patients have a role."""
        return self._patients_of(role).nunique()

    def n_independent(self, role: str) -> float:
        """How many patients of one image each say as much as the patients of a role."""
        return independent(self._patients_of(role))

    @property
    def n_planted(self) -> float:
        """How many patients of one image each say as much as those that copies are planted of."""
        return independent(self.sources["patient"][self.is_copy])

    def _patients_of(self, role: str) -> pd.Series:
        return self.splits["patient"][self.splits["role"] == role]


def evidence_of(
    nearest: dict[str, dict[str, np.ndarray]],
    splits: pd.DataFrame,
    samples: pd.DataFrame,
    sources: pd.DataFrame,
    transforms: list[str],
) -> Evidence:
    """From each detector's arrays (see `copylens.audit.comparison`) and the tables of the images."""
    trained = splits["patient"].to_numpy()[rows_of(splits, "train")]
    patients, number_of = np.unique(trained, return_inverse=True)
    found = {}
    for detector, arrays in nearest.items():
        similarity = {name: arrays[f"{name}_similarity"] for name in SETS}
        found[detector] = Found(similarity, {name: number_of[arrays[f"{name}_index"]] for name in SETS})
    return Evidence(
        found,
        splits,
        samples["identical_to"].map(dict(zip(patients, range(len(patients)), strict=True))).fillna(-1).to_numpy(int),
        sources,
        transforms,
    )


def read_evidence(files: dict) -> Evidence:
    """What the detectors found, from the files of `copylens.audit.publish.judge_audit`."""
    return evidence_of(
        {detector: read_arrays(path) for detector, path in files["nearest"].items()},
        read_table(files["splits"]),
        read_table(files["samples"]),
        read_table(files["sources"]),
        list(read_table(files["transforms"])["transform"]),
    )


def independent(patients: pd.Series) -> float:
    """How many patients of one image each say as much as these images' patients."""
    times = patients.value_counts().to_numpy()
    return float(times.sum() ** 2 / (times**2).sum()) if len(times) else 0.0


def exact_interval(share: float, n: float, level: float) -> tuple[float, float]:
    """Of a share of `n`, by Clopper and Pearson 1934; 0 to 1 where nothing was looked at."""
    if n == 0:
        return 0.0, 1.0
    called, tail = share * n, (1 - level) / 2
    low = beta.ppf(tail, called, n - called + 1) if share > 0 else 0.0
    high = beta.ppf(1 - tail, called + 1, n - called) if share < 1 else 1.0
    return float(low), float(high)


def found_shares(evidence: Evidence, called: np.ndarray, level: float, copies: bool = True) -> list[dict]:
    """Of planted copies, by transform: n, found, low, high. `called`: bool [transform x source].

    Where `copies` is false, of the innocent images that were transformed alike.
    """
    chosen = evidence.is_copy if copies else ~evidence.is_copy
    n = independent(evidence.sources["patient"][chosen])
    rows = []
    for transform, of_transform in zip(
        evidence.transforms, called.reshape(len(evidence.transforms), -1)[:, chosen], strict=True
    ):
        found = float(of_transform.mean()) if chosen.any() else 0.0
        low, high = exact_interval(found, n, level)
        rows.append({"transform": transform, "n": len(of_transform), "found": found, "low": low, "high": high})
    return rows


def rates(evidence: Evidence, called: dict[str, np.ndarray], level: float) -> dict[str, float]:
    """What a rule says of S and of H, what it finds, and how many samples are copies in truth.

    `called`: by set of images, bool. The control rate is the larger one of H as it is and after a decoder.
    sensitivity: the mean over transforms. true_copies: Rogan and Gladen's (`copylens.prevalence`). With _low, _high.
    """
    controls = [called[name] for name in ("control", "control_decoded") if len(called[name])]
    n_synthetic, n_planted, n_control = len(called["synthetic"]), evidence.n_planted, evidence.n_independent("control")
    share, control = float(called["synthetic"].mean()), max(float(each.mean()) for each in controls)
    sensitivity = float(np.mean([row["found"] for row in found_shares(evidence, called["planted"], level)]))
    true = true_share(share, n_synthetic, sensitivity, n_planted, control, n_control, level)
    row = dict(zip(("true_copies", "true_copies_low", "true_copies_high"), true, strict=True))
    for name, value, n in (
        ("called", share, n_synthetic),
        ("control_rate", control, n_control),
        ("sensitivity", sensitivity, n_planted),
    ):
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = exact_interval(value, n, level)
    return row
