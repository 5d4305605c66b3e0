"""Areas under the receiver operating characteristic, with confidence intervals."""

import math

import numpy as np
from scipy.stats import rankdata

FALSE_POSITIVES = (0.01, 0.05)  # false positive rates at which the share of members found is given
CELLS = 5_000_000  # draws times images that are counted at once


def auc_interval(above: np.ndarray, below: np.ndarray, n_above: float, n_below: float, z: float) -> tuple:
    """(area under the curve, low, high): the chance that a value of `above` is larger than one of `below`.

    n_above and n_below are effective sample sizes, z is the normal quantile of the confidence interval's upper end.

    Hanley and McNeil 1982, Radiology 143:29.
    """
    ranks = rankdata(np.concatenate([above, below]))[: len(above)]
    area = float((ranks.sum() - len(above) * (len(above) + 1) / 2) / (len(above) * len(below)))
    reach = z * standard_error(area, n_above, n_below)
    return area, max(0.0, area - reach), min(1.0, area + reach)


def standard_error(area: float, n_above: float, n_below: float) -> float:
    """The standard error of an area under the curve (Hanley and McNeil 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_above - 1) * (one - area**2) + (n_below - 1) * (two - area**2)
    return math.sqrt(variance / (n_above * n_below))


def areas_and_found(member: np.ndarray, score: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the curve, and the share of members found at each of `FALSE_POSITIVES`, float [draw, value].

    times: how often each image counts, [draw, image]; members and others both count in each draw.
    """
    rows = []
    for drawn in np.array_split(times, max(1, times.size // CELLS)):
        true, false = (of / of[:, -1:] for of in counted_above(member, score, drawn))
        found = [found_at(true, false, rate) for rate in FALSE_POSITIVES]
        rows.append(np.stack([np.trapezoid(true, false, axis=1), *found], axis=1))
    return np.concatenate(rows)


def counted_above(member: np.ndarray, score: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many members and how many others each threshold calls, each float [draw, threshold].

    The thresholds are the scores, from one above all of them downwards. times: how often each image counts.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # of those with the same score
    drawn = times[:, order].astype(float)
    counts = (np.cumsum(drawn * of, axis=1)[:, last] for of in (member[order], ~member[order]))
    true, false = (np.pad(of, ((0, 0), (1, 0))) for of in counts)
    return true, false


def found_at(true: np.ndarray, false: np.ndarray, rate: float) -> np.ndarray:
    """The largest true positive rate, [draw], at a false positive rate of at most `rate`; rates [draw, threshold]."""
    # A little more, because sums of weights are rounded.
    return np.where(false <= rate + 1e-9, true, 0).max(axis=1)
