"""Areas under the receiver operating characteristic, with confidence intervals."""

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

FALSE_POSITIVES = (0.01, 0.05)  # false positive rates at which the share of members found is given


def auc_interval(above: np.ndarray, below: np.ndarray, n_above: float, n_below: float, z: float) -> tuple:
    """(area under the curve, low, high): the chance that a value of `above` is larger than one of `below`.

    n_above and n_below are effective sample sizes, z is the normal quantile of the confidence interval's upper end.

    Hanley and McNeil 1982, Radiology 143:29.
    """
    truth = np.arange(len(above) + len(below)) < len(above)
    area = float(roc_auc_score(truth, np.concatenate([above, below])))
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_above - 1) * (one - area**2) + (n_below - 1) * (two - area**2)
    reach = z * np.sqrt(variance / (n_above * n_below))
    return area, max(0.0, area - reach), min(1.0, area + reach)


def area_and_found(member: np.ndarray, score: np.ndarray, times: np.ndarray) -> tuple[float, ...]:
    """(area under the curve, share of members found at each of `FALSE_POSITIVES`), each image counted `times` times."""
    false, true, _ = roc_curve(member, score, sample_weight=times, drop_intermediate=False)
    # A little more, because sums of weights are rounded.
    found = (float(true[false <= rate + 1e-9].max()) for rate in FALSE_POSITIVES)
    return float(roc_auc_score(member, score, sample_weight=times)), *found
