"""95 % confidence intervals of thresholds and of the shares above them.

A threshold is a percentile over patients, so its uncertainty comes from a bootstrap over patients. The share above it
is binomial. Its uncertainty comes from Clopper and Pearson (1934, Biometrika 26:404), because a bootstrap gives none
where nothing is called. A share's interval combines both.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from copylens.jobs.seeds import generator_of


def effective_number(patients: np.ndarray) -> float:
    """The effective sample size of these images' patients [image], in patients of one image each: (sum of m)^2 / sum of
    m^2.

    m images of each patient, as if a patient's images all gave the same result (Kish 1965, "Survey Sampling").
    """
    times = np.unique(patients, return_counts=True)[1]
    return float(times.sum() ** 2 / (times**2).sum()) if len(times) else 0.0


@dataclass(frozen=True)
class Resampled:
    """How often each value counts in each draw, int32 [1 + draws, value + unseen]. Row 0 is the original data.

    A bootstrap of n values never passes the largest, which the next value does with a chance of 1 / (n + 1). So each
    draw may also hold an unseen patient, in the last columns: `beyond` the largest value by so many mean excesses.
    """

    times: np.ndarray
    beyond: np.ndarray  # float64 [1 + draws]

    def of_images(self, patients: np.ndarray) -> "Resampled":
        """The same for images, each as often as its patient; an unseen patient has the average number of images."""
        n = self.times.shape[1] - 1
        unseen = np.full(round(len(patients) / n), n)
        return Resampled(self.times[:, np.concatenate([patients, unseen])], self.beyond)


def resample(n: int, draws: int, generator: np.random.Generator) -> Resampled:
    """`draws` bootstraps of `n` patients."""
    times = generator.multinomial(n, np.full(n + 1, 1 / (n + 1)), size=draws)
    original = np.append(np.ones(n), 0)
    return Resampled(np.vstack([original, times]).astype(np.int32), generator.exponential(size=1 + draws))


def percentiles(values: np.ndarray, resampled: Resampled, percentile: float) -> np.ndarray:
    """`np.percentile` of `values` repeated resampled.times[draw] times, for every draw at once, float64 [draw].

    Unseen values lie beyond the largest by an exponential tail with the mean excess of the upper tenth, at least 5.
    """
    n, order = len(values), np.argsort(values, kind="stable")
    ascending = values[order].astype(np.float64)
    tail = max(n // 10, 5)
    excess = ascending[-tail:].mean() - ascending[max(n - tail - 1, 0)]
    unseen = ascending[-1] + excess * resampled.beyond
    up_to = resampled.times[:, np.concatenate([order, np.arange(n, resampled.times.shape[1])])].cumsum(axis=1)
    place = (up_to[:, -1] - 1) * (percentile / 100)
    below = np.floor(place)
    ranks = ((up_to <= rank[:, None]).sum(axis=1) for rank in (below, np.ceil(place)))
    low, high = (np.where(rank < n, ascending[np.minimum(rank, n - 1)], unseen) for rank in ranks)
    return low + (high - low) * (place - below)


def with_percentiles(name: str, values: np.ndarray) -> dict[str, float]:
    """The value of the original data, with the middle 95 % of its bootstraps."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {name: values[0], f"{name}_low": min(low, values[0]), f"{name}_high": max(high, values[0])}


def with_interval(name: str, shares: np.ndarray, n: float | np.ndarray) -> dict[str, float]:
    """The share of the original data, shares[0], with its interval, from the share of `n` at each draw's threshold.

    Were the threshold known, the interval would be Clopper and Pearson's: the 2.5th percentile of Beta(x, n - x + 1)
    and the 97.5th of Beta(x + 1, n - x), x = n * share. Each draw has its own x and takes another one of evenly spaced
    levels of both distributions; the ends are percentiles over all draws. No call at all gives 0 to 3.7 / n.
    """
    if np.isnan(shares[0]):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    draws = len(shares) - 1
    n = np.broadcast_to(n, len(shares))[1:]
    x = n * shares[1:]
    levels = generator_of("levels of intervals").permutation((np.arange(draws) + 0.5) / draws)
    # If nothing is called the lower end is 0, if everything is called the upper end is 1.
    low = np.where(x > 0, betaincinv(np.where(x > 0, x, 1), n - x + 1, levels), 0)
    high = np.where(x < n, betaincinv(x + 1, np.where(x < n, n - x, 1), levels), 1)
    low, high = np.percentile(low, 2.5, method="hazen"), np.percentile(high, 97.5, method="hazen")
    # The point estimate lies in its interval, also where the bootstrap is biased.
    return {name: shares[0], f"{name}_low": min(low, shares[0]), f"{name}_high": max(high, shares[0])}
