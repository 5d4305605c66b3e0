"""Areas under the receiver operating characteristic, with confidence intervals."""

import numpy as np
from sklearn.metrics import roc_auc_score


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
