"""Membership inference from samples alone: are training images nearer to the samples than other patients' images are?

The distances that are usually taken hide small leaks behind the few directions in which images differ most. Here images
are compared along the samples' principal components, each in units of its deviation (whitened), by the density of the
samples around them; after DOMIAS (van Breugel et al. 2023, arXiv 2302.12580) also relative to the density of a
reference set. T are the training images, V and H other patients' images, S the samples.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from copylens.evaluation.areas import FALSE_POSITIVES, areas_and_found, auc_interval
from copylens.evaluation.intervals import effective_number
from copylens.jobs.seeds import generator_of

COMPONENTS = (64, 128, 256, 512)
# Inverse temperatures of the density, in deviations of the similarity; the last takes the nearest sample alone.
SHARPNESS = (2.0, math.inf)
DRAWS = 500  # of the bootstrap over patients
LEAST = 64  # samples for the principal components; fewer attack nothing
SHARE = 3  # samples for each component
FITTED = 2000  # samples, at most, that the components are fitted to
CHOSEN_BY = 2000  # images of T and of V, at most, that choose an attack
BLOCK = 512  # images that are compared at once


@dataclass(frozen=True)
class Attack:
    """A score of membership: components compared, sharpness of the density, and whether it is relative to V's."""

    components: int
    sharpness: float
    relative: bool


def attacks(n_components: int) -> list[Attack]:
    """Those that `n_components` principal components allow; the first is always there."""
    numbers = [number for number in COMPONENTS if number <= n_components] or [n_components]
    return [
        Attack(number, sharpness, relative)
        for number in numbers
        for sharpness in SHARPNESS
        for relative in (False, True)
    ]


def whiten(samples: np.ndarray, sets: dict[str, np.ndarray], most: int = max(COMPONENTS)) -> dict[str, np.ndarray]:
    """The images of `sets` [n, d] and the samples [S, d] (as synthetic), float32 [n, component], whitened.

    The components are the samples' own, so that no set of real images is favoured; at most so many.

    Raises ValueError for fewer than `LEAST` samples.
    """
    if len(samples) < LEAST:
        raise ValueError(f"{len(samples)} samples are too few for an attack; at least {LEAST}")
    few = generator_of("membership components").permutation(len(samples))[:FITTED]
    mean = samples[few].mean(axis=0)
    _, values, axes = np.linalg.svd(samples[few] - mean, full_matrices=False)
    kept = min(most, len(few) // SHARE, int((values > 1e-4 * values[0]).sum()))
    matrix = (axes[:kept] * (math.sqrt(len(few)) / values[:kept, None])).T
    return {name: ((rows - mean) @ matrix).astype(np.float32) for name, rows in {**sets, "synthetic": samples}.items()}


def scores(
    attack: Attack,
    whitened: np.ndarray,
    samples: np.ndarray,
    reference: np.ndarray,
    own: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Scores of membership of images [n, component], float64 [n]; higher for members.

    reference: V [V, component]. own: numbers of the images' patients [n] and of V's [V], whose own images don't count
    as reference.
    """
    near, ref = unit(samples, attack.components), unit(reference, attack.components)
    # Deviation of the inner product of two random directions.
    sharpness = attack.sharpness * math.sqrt(attack.components)
    found = []
    for start, images in _blocks(unit(whitened, attack.components)):
        score = _density(images @ near.T, sharpness)
        if attack.relative:
            similarity = images @ ref.T
            if own is not None:
                similarity[own[0][start : start + BLOCK, None] == own[1][None]] = -math.inf
            score = score - _density(similarity, sharpness)
        found.append(score)
    return np.concatenate(found)


def choose(whitened: dict[str, np.ndarray], patients: dict[str, np.ndarray]) -> Attack:
    """The attack that tells T (train) from V (calibration) best; H takes no part. patients: numbers, by set."""
    v, patient = whitened["calibration"], patients["calibration"]
    few = generator_of("membership choice").permutation(len(whitened["train"]))[:CHOSEN_BY]
    others = generator_of("membership choice").permutation(len(v))[:CHOSEN_BY]

    def area(attack: Attack) -> float:
        inside = scores(attack, whitened["train"][few], whitened["synthetic"], v)
        outside = scores(attack, v[others], whitened["synthetic"], v, (patient[others], patient))
        return auc_interval(inside, outside, len(inside), len(outside), 0.0)[0]

    return max(attacks(v.shape[1]), key=area)


def separation(
    member_scores: np.ndarray,
    other_scores: np.ndarray,
    patients: tuple[np.ndarray, np.ndarray],
    level: float,
    seed: int,
) -> dict[str, float]:
    """How well scores tell members from others: auc, and tpr_at_1fpr and so on, with _low and _high; n_members,
    n_others.

    patients: numbers of the members' and the others' patients; nobody is among both. Intervals resample the patients of
    either set. The area's is at least as wide as the one of Hanley and McNeil 1982, Radiology 143:29, for as many
    patients: a bootstrap of few patients is too narrow.
    """
    score = np.concatenate([member_scores, other_scores])
    member = np.arange(len(score)) < len(member_scores)
    generator = generator_of("membership intervals", seed)
    times = np.concatenate([_resampled(generator, of_set) for of_set in patients], axis=1)
    draws, values = areas_and_found(member, score, times), areas_and_found(member, score, np.ones((1, len(score))))[0]
    return _row(draws, values, (member_scores, other_scores), patients, level)


def separation_by_choice(
    scored: list[dict[str, np.ndarray]], patients: dict[str, np.ndarray], level: float, seed: int
) -> tuple[int, dict[str, float]]:
    """(number of the attack of `scored` that separates T from V best, how well it separates T from H).

    Best: by the mean of the area under the curve and the share of T found at 5 % false positives.

    scored: by attack and set (train, calibration, control), float [image]. The row is that of `separation`, but its
    intervals choose the attack again in each draw, so that they count the choice.
    """
    generator = generator_of("membership intervals", seed)
    times = {
        name: np.concatenate([np.ones((1, len(of_set)), int), _resampled(generator, of_set)])
        for name, of_set in patients.items()
    }

    def found(scores: dict[str, np.ndarray], others: str) -> np.ndarray:
        member = np.arange(len(scores["train"]) + len(scores[others])) < len(scores["train"])
        score = np.concatenate([scores["train"], scores[others]])
        return areas_and_found(member, score, np.concatenate([times["train"], times[others]], axis=1))

    chosen = np.stack([found(scores, "calibration")[:, [0, 2]].mean(axis=1) for scores in scored]).argmax(axis=0)
    tested = np.stack([found(scores, "control") for scores in scored])[chosen, np.arange(DRAWS + 1)]
    best = scored[chosen[0]]
    sides = patients["train"], patients["control"]
    return int(chosen[0]), _row(tested[1:], tested[0], (best["train"], best["control"]), sides, level)


def _row(draws: np.ndarray, values: np.ndarray, scores: tuple, patients: tuple, level: float) -> dict[str, float]:
    """draws and values: of `areas_and_found`; scores and patients: of members and others."""
    tail = 50 * (1 - level)
    row: dict[str, float] = dict(zip(("n_members", "n_others"), map(len, scores), strict=True))
    names = ("auc", *(f"tpr_at_{100 * rate:.0f}fpr" for rate in FALSE_POSITIVES))
    for name, value, drawn in zip(names, values.tolist(), draws.T, strict=True):
        low, high = np.percentile(drawn, [tail, 100 - tail])
        row |= {name: value, f"{name}_low": min(value, float(low)), f"{name}_high": max(value, float(high))}
    n_members, n_others = (effective_number(of_set) for of_set in patients)
    _, low, high = auc_interval(scores[0], scores[1], n_members, n_others, norm.ppf(0.5 + level / 2))
    return row | {"auc_low": min(row["auc_low"], low), "auc_high": max(row["auc_high"], high)}


def _resampled(generator: np.random.Generator, patient: np.ndarray) -> np.ndarray:
    """How often each image counts where as many patients as there are were drawn with replacement, int [draw, n]."""
    names, number_of = np.unique(patient, return_inverse=True)
    n = len(names)
    return generator.multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, number_of]


def unit(rows: np.ndarray, n_components: int) -> np.ndarray:
    """The first components of rows [n, component], scaled to length 1."""
    rows = rows[:, :n_components]
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _blocks(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    return ((start, rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK))


def _density(similarity: np.ndarray, sharpness: float) -> np.ndarray:
    """Logarithm of the mean of exp(sharpness x similarity) over each row, over sharpness; the maximum where infinite.

    Entries of minus infinity don't count.
    """
    highest = similarity.max(axis=1).astype(np.float64)
    if math.isinf(sharpness):
        return highest
    counted = np.isfinite(similarity).sum(axis=1)
    summed = np.exp(sharpness * (similarity - highest[:, None])).sum(axis=1)
    return highest + np.log(summed / counted) / sharpness
