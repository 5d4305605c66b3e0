"""The paper's rule and the matched rule: thresholds, rates, and their intervals.

T are training, V calibration, H control and S synthetic images; rho is the detector's similarity.

paper rule (Dar et al., arXiv 2402.01054v3, Methods)
    tau = 95th percentile over t in T of max_v rho(t, v); a sample is a copy if max_t rho(s, t) > tau, a training image
    is memorized if max_s rho(t, s) > tau. tau belongs to a maximum over |V| images and is applied to maxima over |T| or
    |S|, so a generator that memorizes nothing is accused of about 1 - 0.95^(|S| / |V|).
matched rule
    copies: tau = 95th percentile over v in V of max_t rho(v, t), which has the candidates of max_t rho(s, t).
    memorized: the chance that a random |V|-subset of S holds a sample nearer to t than the paper's tau,
    1 - C(|S| - k_t, |V|) / C(|S|, |V|) with k_t such samples in S, averaged over T. For a patient the maxima are over
    all their images, in tau as in k. Where S is smaller than V, |S| of V set tau and |S| samples are released.

memorized_at_n_train and patients_memorized_at_n_train are what |T| samples expose (or all of S where it is smaller
than T), so that training sets of several sizes can be compared at |S| = |T| as well. A maximum over n samples stays
below the q-th quantile of a maximum over |V| images in q^(n / |V|) of innocent cases, so the matched rule takes the
quantile 0.95^(|V| / n) here, and accuses 5 % out of nothing whatever |T|; the paper's tau accuses 1 - 0.95^(n / |V|).

S has been through a decoder and V has not. Where the network has a decoder, the matched rule calibrates on V as it is
and on decode(encode(V)), and takes the larger threshold.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from copylens.neighbours import Neighbours

PERCENTILE = 95
CHANCE = 0.05  # that the largest of many similarities of unlike images is above what chance explains
CURVE_POINTS = 12  # of the exposure curve
RATES = (
    "copies",
    "memorized",
    "patients_memorized",
    "memorized_at_n_train",
    "patients_memorized_at_n_train",
    "control_rate",
    "control_rate_decoded",
    "tau",
    "tau_memorized",
)


@dataclass(frozen=True)
class Patients:
    """The patient of each image of T, V and H, numbered from 0 in each set."""

    train: np.ndarray
    calibration: np.ndarray
    control: np.ndarray


def exposure(k: np.ndarray, n_synthetic: int, n_released: int) -> np.ndarray:
    """Chance that `n_released` of `n_synthetic` samples, drawn without replacement, hold one of k marked ones.

    1 - C(n_synthetic - k, n_released) / C(n_synthetic, n_released), for each entry of `k`. Exact. Raises ValueError for
    more released samples than there are.
    """
    if n_released > n_synthetic:
        raise ValueError(f"exposure: {n_released} samples can't be released, there are {n_synthetic}")
    of_count = 1 - hypergeom.pmf(0, n_synthetic, np.arange(n_synthetic + 1), n_released)
    return of_count[k]


def score(
    found: dict[str, Neighbours], patients: Patients, draws: int, seed: int
) -> tuple[dict[str, dict[str, float]], list[dict[str, float]]]:
    """Rates of both rules, {rule: {rate, rate_low, rate_high}} for every name in `RATES`, and the exposure curve.

    The curve has rows n_released, exposed, exposed_low, exposed_high: the share of T's patients with a copy among so
    many samples, by the matched rule's formula for patients.

    `found` are the nearest training images of the sets synthetic, calibration, control, calibration_decoded and
    control_decoded; the last two are empty where the network has no decoder. `tau` is the threshold of copies,
    `tau_memorized` that of memorized images. Intervals are 95 % percentile intervals of `draws`
    bootstraps that resample patients of T, V and H, and samples of S. Resampled are the images that a percentile or a
    rate runs over; the sets that maxima are taken over stay whole, because a maximum over a resampled, hence smaller,
    set would be a smaller maximum.
    """
    each_train = np.arange(len(patients.train))
    weights = _bootstrap_weights(found, patients, draws, np.random.default_rng([seed, 3]))
    of_patient = np.stack([_group_max(row, patients.train) for row in weights["train"]])
    synthetic, calibration = found["synthetic"], found["calibration"]
    tau_paper = _thresholds([calibration.to_train(each_train)], weights["train"])
    of_held_out = [found[name].nearest for name in ("calibration", "calibration_decoded")]
    tau_copies = _thresholds(of_held_out, weights["calibration"])
    rules = {
        "paper": {
            "tau": tau_paper,
            "tau_memorized": tau_paper,
            "copies": _shares(synthetic.nearest, tau_paper, weights["synthetic"]),
            "memorized": _shares(synthetic.to_train(each_train), tau_paper, weights["train"]),
            "patients_memorized": _shares(synthetic.to_train(patients.train), tau_paper, of_patient),
        },
        "matched": {
            "tau": tau_copies,
            "copies": _shares(synthetic.nearest, tau_copies, weights["synthetic"]),
        },
    }
    n_released = min(len(calibration), len(synthetic))
    n_equal = min(len(each_train), len(synthetic))
    chosen = np.random.default_rng([seed, 4]).permutation(len(calibration))[:n_released]
    held_out = [found[name].of(chosen) for name in ("calibration", "calibration_decoded") if len(found[name])]
    for name, groups, of_group in (
        ("memorized", each_train, weights["train"]),
        ("patients_memorized", patients.train, of_patient),
    ):
        of_released = [each.to_train(groups) for each in held_out]
        taus = _thresholds(of_released, of_group)
        rules["matched"].setdefault("tau_memorized", taus)
        counts = synthetic.count_above(groups, tau_paper)
        rules["paper"][f"{name}_at_n_train"] = _exposed(counts, of_group, len(synthetic), n_equal)
        of_equal = 100 * (PERCENTILE / 100) ** (n_released / n_equal)
        counts = synthetic.count_above(groups, _thresholds(of_released, of_group, of_equal))
        rules["matched"][f"{name}_at_n_train"] = _exposed(counts, of_group, len(synthetic), n_equal)
        counts = synthetic.count_above(groups, taus)
        rules["matched"][name] = _exposed(counts, of_group, len(synthetic), n_released)
    # Of the last pass: patients.
    curve = [
        {"n_released": released, **_with_intervals({"exposed": _exposed(counts, of_patient, len(synthetic), released)})}
        for released in np.unique(np.geomspace(1, len(synthetic), CURVE_POINTS).round().astype(int))
    ]
    for rates in rules.values():
        rates["control_rate"] = _shares(found["control"].nearest, rates["tau"], weights["control"])
        rates["control_rate_decoded"] = _shares(found["control_decoded"].nearest, rates["tau"], weights["control"])
    return {rule: _with_intervals(rates) for rule, rates in rules.items()}, curve


def _exposed(counts: np.ndarray, weights: np.ndarray, n_synthetic: int, n_released: int) -> np.ndarray:
    """Weighted mean exposure of the groups with counts[group, draw] near samples, [draw]."""
    exposed = exposure(counts, n_synthetic, n_released)
    return (exposed.T * weights).sum(axis=1) / weights.sum(axis=1)


def _bootstrap_weights(
    found: dict[str, Neighbours], patients: Patients, draws: int, generator
) -> dict[str, np.ndarray]:
    """How often each image counts, int32 [1 + draws, image] by set. Row 0 is the data as they are."""
    weights = {}
    for name, of_image in (
        ("train", patients.train),
        ("calibration", patients.calibration),
        ("control", patients.control),
        ("synthetic", np.arange(len(found["synthetic"]))),
    ):
        n = of_image.max() + 1
        times = generator.multinomial(n, np.full(n, 1 / n), size=draws)  # times[draw, patient]
        weights[name] = np.concatenate([np.ones((1, len(of_image)), np.int32), times[:, of_image].astype(np.int32)])
    return weights


def _thresholds(sets: list[np.ndarray], weights: np.ndarray, percentile: float = PERCENTILE) -> np.ndarray:
    """The largest of the sets' percentiles, float64 [draw]; an empty set doesn't count."""
    return np.max([_percentiles(values, weights, percentile) for values in sets if len(values)], axis=0)


def _percentiles(values: np.ndarray, weights: np.ndarray, percentile: float) -> np.ndarray:
    """`np.percentile` of `values` repeated weights[draw] times, for every draw at once, float64 [draw]."""
    order = np.argsort(values, kind="stable")
    ascending, up_to = values[order].astype(np.float64), weights[:, order].cumsum(axis=1)
    place = (up_to[:, -1] - 1) * (percentile / 100)
    below = np.floor(place)
    low, high = (ascending[(up_to <= rank[:, None]).sum(axis=1)] for rank in (below, np.ceil(place)))
    return low + (high - low) * (place - below)


def _shares(values: np.ndarray, taus: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of `values` above each draw's threshold, float64 [draw]; NaN where there are no values."""
    if not len(values):
        return np.full(len(taus), np.nan)
    above = values[None, :] > taus[:, None]
    return (above * weights).sum(axis=1) / weights.sum(axis=1)


def _group_max(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The largest value of each group, groups numbered from 0."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    return np.maximum.reduceat(values[order], starts)


def _with_intervals(rates: dict[str, np.ndarray]) -> dict[str, float]:
    row = {}
    for name in rates:
        low, high = np.percentile(rates[name][1:], [2.5, 97.5])
        # The point estimate lies in its interval, also where the bootstrap is biased.
        value = rates[name][0]
        row |= {name: value, f"{name}_low": np.fmin(low, value), f"{name}_high": np.fmax(high, value)}
    return row


def largest_by_chance(nearest: np.ndarray) -> float:
    """What the largest of so many similarities of unlike images exceeds with a chance of `CHANCE`."""
    # A correlation can't pass 1: on Fisher's scale nothing is cut off.
    bounded = np.abs(nearest).max() <= 1 + 1e-5
    values = np.arctanh(np.clip(nearest, -1 + 1e-7, 1 - 1e-7)) if bounded else nearest
    median, quartile = np.percentile(values, [50, 75])
    reduced = [-np.log(-np.log(share)) for share in (0.5, 0.75, (1 - CHANCE) ** (1 / len(values)))]
    spread = (quartile - median) / (reduced[1] - reduced[0])
    tau = median + spread * (reduced[2] - reduced[0])
    return float(np.tanh(tau) if bounded else tau)
