"""Copies by the combined evidence of several detectors for the same patient.

T are the training images, V calibration images, S synthetic ones; s is an image and z a patient of T.

Each detector's similarity of s and z becomes a p-value, the chance that a new patient's image is as similar to its
nearest training image (`surprise`). The statistic of s and z is the sum of cot(pi p / 2) over detectors: that of Liu
and Xie 2020 (J. Am. Stat. Assoc. 115:393) with the half-Cauchy distribution in place of the Cauchy, so that no detector
takes from what another one sees (heavy tails: Gui, Jiang and Wang 2025, Biometrika, doi 10.1093/biomet/asaf038). A
patient whom a detector doesn't list among an image's nearest has p = 1 there, which adds nothing. The statistic of s is
the largest over z, so that evidence for different patients doesn't add up.

Detectors depend on one another, and the largest is taken over patients, so the statistic's distribution isn't the
textbook's. The threshold is therefore the matched rule's: a percentile of the statistic of V's images, whose p-values
come from V's other patients (cross-fitting).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from copylens.evaluation.thresholds import TAIL, unbounded_scale

CALIBRATION = ("calibration", "calibration_decoded")
FOLDS = 20  # of V's patients: each fold's p-values come from the others


@dataclass(frozen=True)
class Candidates:
    """One detector's candidates for each image, best first: similarity[image, rank] and patient[image, rank]."""

    similarity: np.ndarray
    patient: np.ndarray

    def __len__(self) -> int:
        return len(self.similarity)

    def of(self, images: np.ndarray) -> "Candidates":
        """The same for some of the images."""
        return Candidates(self.similarity[images], self.patient[images])


def surprise(similarity: np.ndarray, null: np.ndarray) -> np.ndarray:
    """-log p of similarities, given new patients' similarities `null` to their nearest training images; of any shape.

    p is the share of `null` that is as similar, counting the image itself. Above percentile `TAIL` it is that of an
    exponential tail with their mean excess, on Fisher's scale for correlations (as `thresholds.tail_threshold`).
    """
    scale = unbounded_scale(null)[0]
    known, values = np.sort(scale(null)), scale(similarity)
    as_similar = len(known) - np.searchsorted(known, values, side="left")
    by_rank = -np.log((1 + as_similar) / (1 + len(known)))
    start = np.percentile(known, TAIL)
    excess = known[known > start] - start
    if not len(excess):
        return by_rank
    tail = -np.log(1 - TAIL / 100) + (values - start) / excess.mean()
    return np.where(values > start, tail, np.minimum(by_rank, -np.log(1 - TAIL / 100)))


def half_cauchy(surprises: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of cot(pi p / 2) over detectors [...], p given as -log p [detector, ...].

    Below p = 1e-8 the cotangent is 2 / (pi p), whose logarithm needs -log p only: no p is too small.
    """
    cotangent = 1 / np.tan(np.pi / 2 * np.exp(-np.minimum(surprises, 18)))
    each = np.where(surprises > 18, surprises + np.log(2 / np.pi), np.log(np.maximum(cotangent, 1e-12)))
    return np.logaddexp.reduce(each, axis=0)


def combine(
    surprises: Sequence[np.ndarray], patients: Sequence[np.ndarray], statistic: Callable = half_cauchy
) -> tuple[np.ndarray, np.ndarray]:
    """(statistic [image], patient [image]): of the patient with the largest statistic, given -log p of each detector's
    candidates [image, rank] and their patients.
    """
    n_patients = 1 + max(int(named.max(initial=0)) for named in patients)
    keys = [np.arange(len(named))[:, None] * n_patients + named for named in patients]
    pairs, place = np.unique(np.concatenate([key.ravel() for key in keys]), return_inverse=True)
    of_pairs = np.zeros((len(keys), len(pairs)))
    parts = np.split(place, np.cumsum([key.size for key in keys])[:-1])
    for row, part, values in zip(of_pairs, parts, surprises, strict=True):
        np.maximum.at(row, part, values.ravel())
    value, (image, patient) = statistic(of_pairs), np.divmod(pairs, n_patients)
    best = np.lexsort((-value, image))
    first = best[np.unique(image[best], return_index=True)[1]]
    return value[first], patient[first]


def combine_sets(
    sets: Mapping[str, Sequence[Candidates]], calibration_patients: np.ndarray, statistic: Callable = half_cauchy
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(statistic [image], patient [image]) of each set, given each detector's candidates.

    The sets calibration and, unless it is empty, calibration_decoded are the null; of two p-values the larger one
    counts. calibration_patients numbers the patient of each image of V.
    """
    references = [sets[name] for name in CALIBRATION if len(sets[name][0])]
    fold = np.unique(calibration_patients, return_inverse=True)[1] % FOLDS
    everybody = np.ones(len(fold), bool)
    combined = {}
    for name, detectors in sets.items():
        if name in CALIBRATION and len(detectors[0]):
            values = [np.empty(each.similarity.shape) for each in detectors]
            for number in np.unique(fold):
                inside = fold == number
                of_fold = _surprises([each.of(inside) for each in detectors], references, ~inside)
                for value, part in zip(values, of_fold, strict=True):
                    value[inside] = part
        else:
            values = _surprises(detectors, references, everybody)
        combined[name] = combine(values, [each.patient for each in detectors], statistic)
    return combined


def _surprises(detectors: Sequence[Candidates], references: list, known: np.ndarray) -> list[np.ndarray]:
    """-log p [image, rank] of each detector's candidates by V's images `known`, of two references the lower one."""
    return [
        np.min([surprise(each.similarity, of[number].similarity[known, 0]) for of in references], axis=0)
        for number, each in enumerate(detectors)
    ]
