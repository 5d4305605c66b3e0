"""Which samples are copies, with the rule's false positive rate on new patients and its sensitivity to planted copies.

T are the training images, V calibration, H control, S synthetic ones.

A rule of `copylens.auditing.rules` says which images are copies. By the usual one any two detectors call it a copy by
the matched rule (see `copylens.evaluation.thresholds`) and name the same patient. Two detectors that call a new
patient's image a copy by chance rarely name the same patient, so the rule's false positive rate is far below one
detector's. By the other one the detectors' evidence for one patient is combined, and one detector may be enough.

Copies that only one detector finds are counted at a rarer threshold, which a share `rate` of V and H passes by the
exponential tail of their similarities (mean excess over a high percentile; Davison and Smith 1990, J. R. Stat. Soc. B
52:393). Correlations are on Fisher's scale there.

Confidence intervals of real images' shares use the effective sample size, as if a patient's images all gave the same
result: (sum of m)^2 / sum of m^2, m images of each patient (Kish 1965, "Survey Sampling").
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd
from scipy.stats import beta

from copylens.auditing.findings import HELD_OUT, Findings, Near
from copylens.auditing.rules import RULES, Agreement, Combined, agreeing
from copylens.data.splits import rows_of
from copylens.evaluation.intervals import effective_number
from copylens.evaluation.prevalence import true_share
from copylens.evaluation.thresholds import largest_by_chance
from copylens.jobs.files import read_arrays, read_table

SETS = ("synthetic", "calibration", "control", "calibration_decoded", "control_decoded", "planted")
NOBODY = "nobody"  # in the place of a patient, for a sample that equals no image of T, V or H
RARE = 0.01  # share of new patients' images that pass the threshold of a detector alone


@dataclass(frozen=True)
class Evidence:
    """All detectors' results. Of those that name a copy's patient, the first in this order gives the image."""

    detectors: dict[str, Findings]  # in the order of the configuration
    splits: pd.DataFrame  # scan, patient, role, about_...
    identical_to: np.ndarray  # int [S], number of the patient with the same training image pixel by pixel, -1 for none
    sources: pd.DataFrame  # of planted images: patient, role (train: a copy; control: no copy, transformed likewise)
    transforms: list[str]
    held_out: dict[str, Near]  # by detector
    kind: dict[str, np.ndarray]  # orientations, and a classifier's scores (`copylens.auditing.kind`)
    attacks: dict[str, np.ndarray]  # whitened images and samples, and scores of shift (`copylens.auditing.attacks`)
    group: np.ndarray  # int [S], samples with the same number repeat one image
    is_held_out: np.ndarray  # bool [S], whether the sample equals an image of V or H pixel by pixel
    rule: str = "agreement"  # of `copylens.auditing.rules.RULES`

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

    def copies(self, name: str, rate: float | None = None) -> np.ndarray:
        """Which images of a set the rule calls copies, at the thresholds of `rate` (None: the usual), bool [image]."""
        return self.named_by(name, rate) >= 0

    def named_by(self, name: str, rate: float | None = None) -> np.ndarray:
        """The position of the detector that names the copied patient, -1 for no copy, int [image]."""
        return self.criterion.named_by(name, rate)

    @cached_property
    def criterion(self) -> Agreement | Combined:
        """The rule that says which images are copies."""
        return RULES[self.rule](list(self.detectors.values()), self._patients_of("calibration").to_numpy())

    def near_held_out(self, name: str) -> np.ndarray:
        """Which images of synthetic or train two detectors call copies of one patient of V or H, bool [image]."""
        near = list(self.held_out.values())
        return agreeing([one.calls(name) for one in near], [one.patient[name] for one in near]) >= 0

    def like_training(self) -> np.ndarray:
        """The patient of T that two detectors find more similar to an image of V or H than chance explains.

        The patient's number, -1 for none, int [image], V's images first.
        """
        called, patient = [], []
        for detector in self.detectors.values():
            both = np.concatenate([detector.similarity[name] for name in HELD_OUT])
            called.append(both > largest_by_chance(both))
            patient.append(np.concatenate([detector.patient[name] for name in HELD_OUT]))
        first = agreeing(called, patient)
        return np.where(first >= 0, np.stack(patient)[np.maximum(first, 0), np.arange(len(first))], -1)

    def nearest_patient(self, name: str, rate: float | None = None) -> np.ndarray:
        """The number of the patient that the rule names, or for no copy the first detector's nearest one, int [image].

        A sample that equals a training image has that image's patient.
        """
        named = np.stack([detector.patient[name] for detector in self.detectors.values()])
        nearest = np.take_along_axis(named, np.maximum(self.named_by(name, rate), 0)[None], axis=0)[0]
        return np.where(self.identical, self.identical_to, nearest) if name == "synthetic" else nearest

    def n_patients(self, role: str) -> int:
        """How many patients have a role."""
        return self._patients_of(role).nunique()

    def n_independent(self, *roles: str) -> float:
        """The effective sample size of the patients of these roles, in patients of one image each."""
        return effective_number(pd.concat([self._patients_of(role) for role in roles]))

    @property
    def n_samples(self) -> float:
        """The effective sample size of S, in which samples may repeat one image (mode collapse)."""
        return effective_number(self.group)

    @property
    def n_planted(self) -> float:
        """The effective sample size of the planted copies' patients."""
        return effective_number(self.sources["patient"][self.is_copy])

    @cached_property
    def _patients(self) -> dict[str, pd.Series]:
        return {str(role): of["patient"] for role, of in self.splits.groupby("role")}

    def _patients_of(self, role: str) -> pd.Series:
        return self._patients.get(role, self.splits["patient"][:0])


def evidence_of(
    nearest: dict[str, dict[str, np.ndarray]],
    splits: pd.DataFrame,
    samples: pd.DataFrame,
    sources: pd.DataFrame,
    transforms: list[str],
    kind: dict[str, np.ndarray],
    attacks: dict[str, np.ndarray],
) -> Evidence:
    """From each detector's arrays (`copylens.auditing.nearest`), tables of images, and arrays of `kind` and `attacks`.

    Raises ValueError where identical_to has an unknown patient.
    """
    patient_of = splits["patient"].to_numpy()
    patients, number_of = np.unique(patient_of[rows_of(splits, "train")], return_inverse=True)
    held_out = np.concatenate([rows_of(splits, role) for role in HELD_OUT])
    others, other_of = np.unique(patient_of[held_out], return_inverse=True)
    findings, near = {}, {}
    for detector, arrays in nearest.items():
        similarity = {name: arrays[f"{name}_similarity"] for name in SETS}
        findings[detector] = Findings(similarity, {name: number_of[arrays[f"{name}_index"]] for name in SETS})
        near[detector] = Near(
            {name: arrays[f"{name}_to_held_out_similarity"] for name in ("synthetic", "train")},
            {name: other_of[arrays[f"{name}_to_held_out_index"]] for name in ("synthetic", "train")},
        )
    identical_to = samples["identical_to"].to_numpy()
    unknown = set(identical_to) - {NOBODY, *patients, *others}
    if unknown:
        raise ValueError(f"samples.tsv: identical_to has '{min(map(str, unknown))}', who isn't in splits.tsv")
    number = dict(zip(patients, range(len(patients)), strict=True))
    return Evidence(
        findings,
        splits,
        np.array([number.get(patient, -1) for patient in identical_to]),
        sources,
        transforms,
        near,
        kind,
        attacks,
        samples["group"].to_numpy(),
        np.isin(identical_to, others),
    )


def read_evidence(files: dict) -> Evidence:
    """The evidence in the files of `copylens.auditing.publish.judge_audit`."""
    return evidence_of(
        {detector: read_arrays(path) for detector, path in files["nearest"].items()},
        read_table(files["splits"]),
        read_table(files["samples"]),
        read_table(files["sources"]),
        list(read_table(files["transforms"])["transform"]),
        read_arrays(files["kind"]),
        read_arrays(files["attacks"]),
    )


@cache
def exact_interval(share: float, n: float, level: float) -> tuple[float, float]:
    """The confidence interval of a share of `n`, by Clopper and Pearson 1934; 0 to 1 for n = 0."""
    if n == 0:
        return 0.0, 1.0
    called, tail = share * n, (1 - level) / 2
    low = beta.ppf(tail, called, n - called + 1) if share > 0 else 0.0
    high = beta.ppf(1 - tail, called + 1, n - called) if share < 1 else 1.0
    return float(low), float(high)


def called_shares(evidence: Evidence, called: np.ndarray, level: float, copies: bool = True) -> list[dict]:
    """The sensitivity by transform: transform, n, share of planted copies called copies, low, high.

    Where `copies` is false the false positive rate: the same of control images under the same transforms. called: bool
    [transform x source].
    """
    counted = evidence.is_copy if copies else ~evidence.is_copy
    n = effective_number(evidence.sources["patient"][counted])
    by_transform = called.reshape(len(evidence.transforms), -1)[:, counted]
    rows = []
    for transform, calls in zip(evidence.transforms, by_transform, strict=True):
        share = float(calls.mean()) if counted.any() else 0.0
        low, high = exact_interval(share, n, level)
        rows.append({"transform": transform, "n": len(calls), "share": share, "low": low, "high": high})
    return rows


def rates(
    evidence: Evidence,
    called: dict[str, np.ndarray],
    level: float,
    roles: tuple[str, ...] = ("control",),
    shares: list[dict] | None = None,
) -> dict[str, float]:
    """A rule's share of S called copies, control rate, sensitivity, and true copies, each with _low and _high.

    called: by set of images, bool [image]. control_rate: of the images of `roles`, the larger one before and after a
    decoder. sensitivity: the mean over transforms (`shares`, or else all). true_copies: the corrected share of S (Rogan
    and Gladen, `copylens.evaluation.prevalence`), whose upper end assumes that all copies are of the kind with the
    lowest sensitivity. Every n is an effective sample size.
    """
    controls = [
        np.concatenate([called[f"{role}{decoded}"] for role in roles])
        for decoded in ("", "_decoded")
        if all(len(called[f"{role}{decoded}"]) for role in roles)
    ]
    n_synthetic, n_planted, n_control = evidence.n_samples, evidence.n_planted, evidence.n_independent(*roles)
    share, control = float(called["synthetic"].mean()), max(float(calls.mean()) for calls in controls)
    shares = called_shares(evidence, called["planted"], level) if shares is None else shares
    sensitivity, least = float(np.mean([row["share"] for row in shares])), min(row["share"] for row in shares)
    true, worst = (
        true_share(share, n_synthetic, found_share, n_planted, control, n_control, level)
        for found_share in (sensitivity, least)
    )
    row = dict(zip(("true_copies", "true_copies_low", "true_copies_high"), (*true[:2], worst[2]), strict=True))
    row["least_found_low"] = min(row["low"] for row in shares)
    for name, value, n in (
        ("called", share, n_synthetic),
        ("control_rate", control, n_control),
        ("sensitivity", sensitivity, n_planted),
    ):
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = exact_interval(value, n, level)
    return row
