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

from copylens.similarity import count_above, nearest

PERCENTILE = 95
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
class Maxima:
    """Each image's similarity to the nearest image of another set, float32, one entry per image of the first-named."""

    synthetic_to_train: np.ndarray
    train_to_synthetic: np.ndarray
    train_to_calibration: np.ndarray
    calibration_to_train: np.ndarray
    control_to_train: np.ndarray
    # After the decoder; empty where the network has none.
    train_to_calibration_decoded: np.ndarray
    calibration_decoded_to_train: np.ndarray
    control_decoded_to_train: np.ndarray


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
    maxima: Maxima, patients: Patients, sets: dict[str, np.ndarray], draws: int, seed: int
) -> tuple[dict[str, dict[str, float]], list[dict[str, float]]]:
    """Rates of both rules, {rule: {rate, rate_low, rate_high}} for every name in `RATES`, and the exposure curve.

    The curve has rows n_released, exposed, exposed_low, exposed_high: the share of T's patients with a copy among so
    many samples, by the matched rule's formula for patients.

    `sets` are the standardised embeddings behind the maxima, by name (see `similarity.embedding_sets`). `tau` is the
    threshold of copies, `tau_memorized` that of memorized images. Intervals are 95 % percentile intervals of `draws`
    bootstraps that resample patients of T, V and H, and samples of S. Resampled are the images that a percentile or a
    rate runs over; the sets that maxima are taken over stay whole, because a maximum over a resampled, hence smaller,
    set would be a smaller maximum.
    """
    weights = _bootstrap_weights(maxima, patients, draws, np.random.default_rng([seed, 3]))
    of_patient = np.stack([_group_max(row, patients.train) for row in weights["train"]])
    nearest_of_patient = _group_max(maxima.train_to_synthetic, patients.train)
    tau_paper = _thresholds([maxima.train_to_calibration], weights["train"])
    tau_copies = _thresholds([maxima.calibration_to_train, maxima.calibration_decoded_to_train], weights["calibration"])
    rules = {
        "paper": {
            "tau": tau_paper,
            "tau_memorized": tau_paper,
            "copies": _shares(maxima.synthetic_to_train, tau_paper, weights["synthetic"]),
            "memorized": _shares(maxima.train_to_synthetic, tau_paper, weights["train"]),
            "patients_memorized": _shares(nearest_of_patient, tau_paper, of_patient),
        },
        "matched": {
            "tau": tau_copies,
            "copies": _shares(maxima.synthetic_to_train, tau_copies, weights["synthetic"]),
        },
    }
    n_released = min(len(sets["calibration"]), len(sets["synthetic"]))
    n_equal = min(len(sets["train"]), len(sets["synthetic"]))
    held_out = _train_to_released(maxima, sets, n_released, np.random.default_rng([seed, 4]))
    for name, groups, of_group in (
        ("memorized", np.arange(len(patients.train)), weights["train"]),
        ("patients_memorized", patients.train, of_patient),
    ):
        taus = _thresholds([_group_max(values, groups) for values in held_out], of_group)
        rules["matched"].setdefault("tau_memorized", taus)
        counts = _near_samples(groups, sets, tau_paper)
        rules["paper"][f"{name}_at_n_train"] = _exposed(counts, of_group, sets, n_equal)
        of_equal = 100 * (PERCENTILE / 100) ** (n_released / n_equal)
        taus_equal = _thresholds([_group_max(values, groups) for values in held_out], of_group, of_equal)
        counts = _near_samples(groups, sets, taus_equal)
        rules["matched"][f"{name}_at_n_train"] = _exposed(counts, of_group, sets, n_equal)
        counts = _near_samples(groups, sets, taus)
        rules["matched"][name] = _exposed(counts, of_group, sets, n_released)
    # Of the last pass: patients.
    curve = [
        {"n_released": released, **_with_intervals({"exposed": _exposed(counts, of_patient, sets, released)})}
        for released in np.unique(np.geomspace(1, len(sets["synthetic"]), CURVE_POINTS).round().astype(int))
    ]
    for rates in rules.values():
        rates["control_rate"] = _shares(maxima.control_to_train, rates["tau"], weights["control"])
        rates["control_rate_decoded"] = _shares(maxima.control_decoded_to_train, rates["tau"], weights["control"])
    return {rule: _with_intervals(rates) for rule, rates in rules.items()}, curve


def _near_samples(groups: np.ndarray, sets: dict[str, np.ndarray], taus: np.ndarray) -> np.ndarray:
    """How many samples are nearer than each tau to each group of training images, counts[group, tau]."""
    order = np.argsort(taus, kind="stable")
    counts = np.empty((groups.max() + 1, len(order)), dtype=np.int64)
    counts[:, order] = count_above(groups, sets["train"], sets["synthetic"], taus[order])
    return counts


def _exposed(counts: np.ndarray, weights: np.ndarray, sets: dict[str, np.ndarray], n_released: int) -> np.ndarray:
    """Weighted mean exposure of the groups with counts[group, draw] near samples, [draw]."""
    exposed = exposure(counts, len(sets["synthetic"]), n_released)
    return (exposed.T * weights).sum(axis=1) / weights.sum(axis=1)


def _train_to_released(maxima: Maxima, sets: dict[str, np.ndarray], n_released: int, generator) -> list[np.ndarray]:
    """Each training image's maximum over `n_released` calibration images, as they are and (if there) decoded."""
    if n_released == len(sets["calibration"]):
        held_out = [maxima.train_to_calibration, maxima.train_to_calibration_decoded]
        return [values for values in held_out if len(values)]
    chosen = generator.permutation(len(sets["calibration"]))[:n_released]
    candidates = [sets[name][chosen] for name in ("calibration", "calibration_decoded") if len(sets[name])]
    return [nearest(sets["train"], of_set, 1)[0][:, 0] for of_set in candidates]


def _bootstrap_weights(maxima: Maxima, patients: Patients, draws: int, generator) -> dict[str, np.ndarray]:
    """How often each image counts, int32 [1 + draws, image] by set. Row 0 is the data as they are."""
    weights = {}
    for name, of_image in (
        ("train", patients.train),
        ("calibration", patients.calibration),
        ("control", patients.control),
        ("synthetic", np.arange(len(maxima.synthetic_to_train))),
    ):
        n = of_image.max() + 1
        times = generator.multinomial(n, np.full(n, 1 / n), size=draws)  # times[draw, patient]
        weights[name] = np.concatenate([np.ones((1, len(of_image)), np.int32), times[:, of_image].astype(np.int32)])
    return weights


def _thresholds(sets: list[np.ndarray], weights: np.ndarray, percentile: float = PERCENTILE) -> np.ndarray:
    """The largest of the sets' percentiles, float64 [draw]; an empty set doesn't count."""
    return np.max(
        [[np.percentile(np.repeat(values, times), percentile) for times in weights] for values in sets if len(values)],
        axis=0,
    )


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
