"""How many samples really are copies, given how many a detector calls so, how many it finds and whom it accuses.

Rogan and Gladen 1978, "Estimating prevalence from the results of a screening test", Am. J. Epidemiol. 107:71-76; the
interval is that of Lang and Reiczigel 2014, "Confidence limits for prevalence of disease adjusted for estimated
sensitivity and specificity", Prev. Vet. Med. 113:13-22, which counts the uncertainty of all three shares.
"""

import math

from scipy.stats import beta, norm

from copylens.evaluation.thresholds import PERCENTILE


def true_share(
    called: float, n: int, sensitivity: float, n_planted: int, accused: float, n_innocent: int, level: float = 0.95
) -> tuple[float, float, float]:
    """(share, low, high) of `n` samples that are copies, if a share `called` of them is called so.

    sensitivity: share of `n_planted` known copies that the same threshold finds; accused: share of `n_innocent`
    innocent images that it calls copies. (called - accused) / (sensitivity - accused), cut to 0 and 1. Where fewer
    samples are called than innocent images are, the innocents among the samples are accused less than those, and
    `called` takes the place of `accused`: otherwise the interval would end at 0. NaN three times for a detector that
    finds no larger share of copies than it accuses of innocents: it can't say.
    """
    if not sensitivity > accused:
        return math.nan, math.nan, math.nan
    accused = min(accused, called)
    share = (called - accused) / (sensitivity - accused)
    z = norm.ppf(0.5 + level / 2)
    # Each share a little nearer to the middle, as if some more had been seen.
    n_called, n_found, n_accused = n + z**2, n_planted + 2, n_innocent + 2
    called = (n * called + z**2 / 2) / n_called
    found, spared = (n_planted * sensitivity + 1) / n_found, 1 - (n_innocent * accused + 1) / n_accused
    slope = found + spared - 1
    if slope <= 0:
        return math.nan, math.nan, math.nan
    middle = (called + spared - 1) / slope
    of_found, of_spared = found * (1 - found) / n_found, spared * (1 - spared) / n_accused
    shift = 2 * z**2 * (middle * of_found - (1 - middle) * of_spared)
    variance = called * (1 - called) / n_called + middle**2 * of_found + (1 - middle) ** 2 * of_spared
    reach = z * math.sqrt(variance) / slope
    share, low, high = (min(1.0, max(0.0, value)) for value in (share, middle + shift - reach, middle + shift + reach))
    # The point estimate lies in its interval, also where the interval's is drawn to the middle.
    return share, min(low, share), max(high, share)


def highest_false_positive_rate(n_calibration: int, level: float = 0.95) -> float:
    """What a threshold at the 95th percentile of so many calibration patients may accuse, at most, of innocent images.

    The upper end of the interval of the share above the order statistic at or below the percentile, whatever the
    similarities' distribution: Beta(n - r + 1, r) for the r-th of n.
    """
    rank = math.floor(PERCENTILE / 100 * (n_calibration - 1)) + 1
    return float(beta.ppf(0.5 + level / 2, n_calibration - rank + 1, rank))
