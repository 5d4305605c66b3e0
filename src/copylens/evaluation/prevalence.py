"""The prevalence of copies among samples, given the share called copies, the sensitivity and the false positive rate.

Rogan and Gladen 1978, "Estimating prevalence from the results of a screening test", Am. J. Epidemiol. 107:71-76; the
interval is that of Lang and Reiczigel 2014, "Confidence limits for prevalence of disease adjusted for estimated
sensitivity and specificity", Prev. Vet. Med. 113:13-22, which counts the uncertainty of all three shares.
"""

import math

from scipy.stats import beta, norm

from copylens.evaluation.thresholds import PERCENTILE


def true_share(
    called: float, n: float, sensitivity: float, n_planted: float, fpr: float, n_negatives: float, level: float = 0.95
) -> tuple[float, float, float]:
    """(share, low, high) of `n` samples that are copies, if a share `called` of them is called so.

    sensitivity: share of `n_planted` known copies that the same threshold finds; fpr: its false positive rate, on
    `n_negatives` images of new patients. (called - fpr) / (sensitivity - fpr), cut to 0 and 1. Where fewer samples are
    called than images of new patients are, the samples' own false positive rate is lower than theirs, and `called`
    takes the place of `fpr`: otherwise the interval would end at 0. NaN three times for a detector whose sensitivity
    isn't above its false positive rate, because its calls say nothing about the prevalence.
    """
    if not sensitivity > fpr:
        return math.nan, math.nan, math.nan
    fpr = min(fpr, called)
    share = (called - fpr) / (sensitivity - fpr)
    z = norm.ppf(0.5 + level / 2)
    # Each share is shrunk towards 1/2, as if a few more cases had been observed.
    n_called, n_found, n_cleared = n + z**2, n_planted + 2, n_negatives + 2
    called = (n * called + z**2 / 2) / n_called
    shrunk, specificity = (n_planted * sensitivity + 1) / n_found, 1 - (n_negatives * fpr + 1) / n_cleared
    slope = shrunk + specificity - 1
    if slope <= 0:
        return math.nan, math.nan, math.nan
    middle = (called + specificity - 1) / slope
    of_found, of_specificity = shrunk * (1 - shrunk) / n_found, specificity * (1 - specificity) / n_cleared
    shift = 2 * z**2 * (middle * of_found - (1 - middle) * of_specificity)
    variance = called * (1 - called) / n_called + middle**2 * of_found + (1 - middle) ** 2 * of_specificity
    reach = z * math.sqrt(variance) / slope
    share, low, high = (min(1.0, max(0.0, value)) for value in (share, middle + shift - reach, middle + shift + reach))
    # The point estimate lies in its interval, although the interval is built around the shrunk one.
    return share, min(low, share), max(high, share)


def highest_false_positive_rate(n_calibration: int, level: float = 0.95) -> float:
    """The highest false positive rate that a threshold at the 95th percentile of so many calibration patients may have.

    The upper end of the interval of the share above the order statistic at or below the percentile, whatever the
    similarities' distribution: Beta(n - r + 1, r) for the r-th of n.
    """
    rank = math.floor(PERCENTILE / 100 * (n_calibration - 1)) + 1
    return float(beta.ppf(0.5 + level / 2, n_calibration - rank + 1, rank))
