"""The thresholds above which images count as copies, and the rates and intervals of a study by them.

The matched rule is the one to read, and the one of audits (`matched_threshold`). The paper's rule serves comparison.

T are training, V calibration, H control and S synthetic images; rho is the detector's similarity.

paper rule (Dar et al., arXiv 2402.01054v3, Methods)
    tau = 95th percentile over t in T of max_v rho(t, v); a sample is a copy if max_t rho(s, t) > tau, a training image
    is memorized if max_s rho(t, s) > tau. tau belongs to a maximum over |V| images and is applied to maxima over |T| or
    |S|, so its false positive rate is about 1 - 0.95^(|S| / |V|).
matched rule
    copies: tau = 95th percentile over v in V of max_t rho(v, t), which has the candidates of max_t rho(s, t).
    memorized: the chance that n random samples of S hold one nearer to t than tau, 1 - C(|S| - k_t, n) / C(|S|, n)
    with k_t such samples in S, averaged over T. tau is the 95th percentile over t of the maximum over n images of V,
    one of each patient: n is the number of V's patients, or |S| where that is smaller. For a patient of T the maxima
    are over all their images, in tau as in k.

One image of each patient of V, because samples are drawn one by one and a patient's images are not: the maximum over
three alike images of each of 40 patients is that of little more than 40 images, and is exceeded by the maximum over 120
samples of a generator that memorizes nothing in up to 1 - 0.95^3 = 14 % of cases. Patients of V are as independent as
samples are, however similar one patient's images are, so the false positive rate is 5 %.

memorized_at_n_train and patients_memorized_at_n_train count exposure by |T| samples (or by all of S where it is smaller
than T), so that training sets of several sizes can be compared at |S| = |T| as well. A maximum over |T| samples stays
below the q-th quantile of a maximum over n images in q^(|T| / n) of cases under the null, so the matched rule takes the
quantile 0.95^(n / |T|) here (see `_percentile_of_more`), and has a false positive rate of 5 % whatever |T|; that of the
paper's tau is 1 - 0.95^(|T| / |V|).

S may have been through a decoder, and V has not. If the network has a decoder, the matched rule calibrates on V and on
decode(encode(V)), and takes the larger threshold.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from copylens.evaluation.intervals import (
    Resampled,
    effective_number,
    percentiles,
    resample,
    with_interval,
    with_percentiles,
)
from copylens.evaluation.neighbours import Neighbours
from copylens.jobs.seeds import generator_of

PERCENTILE = 95  # of similarities of new patients' images, which both rules' thresholds are
CHANCE = 0.05  # that the largest of many similarities of non-matching pairs exceeds `largest_by_chance`
TAIL = 80  # percentile above which similarities of non-matching pairs have an exponential tail
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
    # Imported here, because jobs that only compare images need no scipy.stats.
    from scipy.stats import hypergeom

    of_count = 1 - hypergeom.pmf(0, n_synthetic, np.arange(k.max(initial=0) + 1), n_released)
    return of_count[k]


def score(
    neighbours: dict[str, Neighbours], patients: Patients, draws: int, seed: int
) -> tuple[dict[str, dict[str, float]], list[dict[str, float]]]:
    """Rates of both rules, {rule: {rate, rate_low, rate_high}} for every name in `RATES`, and the exposure curve.

    The curve has rows n_released, exposed, exposed_low, exposed_high: the share of T's patients with a copy among
    n_released samples, by the matched rule's formula for patients.

    `neighbours` are the nearest training images of the sets synthetic, calibration, control, calibration_decoded and
    control_decoded; the last two are empty where the network has no decoder. `tau` is the threshold of copies,
    `tau_memorized` that of memorized images.

    Intervals (`copylens.evaluation.intervals`) are 95 % intervals of the rates' expectation, where patients of T, V and
    H and samples of S are drawn again. Each of `draws` bootstraps resamples the patients of T or V that a threshold is
    a percentile of. The sets that maxima are taken over stay whole, because a maximum over a resampled, hence smaller,
    set would be a smaller maximum. A share above the threshold has the number of samples as its n, or the effective
    sample size of H's or T's patients.
    """
    generator = generator_of("thresholds", seed)
    of_train, of_calibration = (
        resample(numbers.max() + 1, draws, generator) for numbers in (patients.train, patients.calibration)
    )
    synthetic, images = neighbours["synthetic"], np.arange(len(patients.train))
    tau_paper = _thresholds([neighbours["calibration"].to_train(images)], of_train.of_images(patients.train))
    of_held_out = [neighbours[name].nearest for name in ("calibration", "calibration_decoded")]
    tau_matched = _thresholds(of_held_out, of_calibration.of_images(patients.calibration))
    n_control = effective_number(patients.control)
    nearest = {name: neighbours[name].nearest for name in ("synthetic", "control", "control_decoded")}
    paper, matched = (_rates_of_images(nearest, tau, n_control) for tau in (tau_paper, tau_matched))
    paper |= with_percentiles("tau_memorized", tau_paper)

    one_each = _one_image_each(patients.calibration, generator_of("calibration images", seed))[: len(synthetic)]
    held_out = [
        neighbours[name].of(one_each) for name in ("calibration", "calibration_decoded") if len(neighbours[name])
    ]
    n_synthetic, n_released, n_equal = len(synthetic), len(one_each), min(len(images), len(synthetic))
    for rate, groups, of_groups, n in (
        ("memorized", images, of_train.of_images(patients.train), effective_number(patients.train)),
        ("patients_memorized", patients.train, of_train, patients.train.max() + 1),
    ):
        of_released, at_n_train = [images_of_set.to_train(groups) for images_of_set in held_out], f"{rate}_at_n_train"
        tau = _thresholds(of_released, of_groups)
        tau_equal = _thresholds(of_released, of_groups, _percentile_of_more(n_equal / n_released, groups.max() + 1))
        if rate == "memorized":
            matched |= with_percentiles("tau_memorized", tau)
        counts, counts_equal, counts_paper = (
            synthetic.count_above(groups, taus) for taus in (tau, tau_equal, tau_paper)
        )
        paper |= with_interval(rate, *_exposed(counts_paper, n_synthetic, n_synthetic, n))
        paper |= with_interval(at_n_train, *_exposed(counts_paper, n_synthetic, n_equal, n))
        matched |= with_interval(rate, *_exposed(counts, n_synthetic, n_released, n))
        matched |= with_interval(at_n_train, *_exposed(counts_equal, n_synthetic, n_equal, n))
    # `counts` are those of the last pass, over patients.
    curve = [
        {"n_released": released, **with_interval("exposed", *_exposed(counts, n_synthetic, released, n))}
        for released in np.unique(np.geomspace(1, n_synthetic, CURVE_POINTS).round().astype(int))
    ]
    return {"paper": paper, "matched": matched}, curve


def rates_of_copies(
    nearest: dict[str, np.ndarray], calibration: np.ndarray, control: np.ndarray, draws: int, seed: int
) -> dict[str, float]:
    """The matched rule's tau, copies and control rates with their intervals, as `score` has them.

    nearest: by set, each image's similarity to its nearest patient, or another statistic [image]; calibration and
    control number the patients of V's and H's images.
    """
    of_calibration = resample(calibration.max() + 1, draws, generator_of("thresholds", seed)).of_images(calibration)
    taus = _thresholds([nearest[name] for name in ("calibration", "calibration_decoded")], of_calibration)
    return _rates_of_images(nearest, taus, effective_number(control))


def _rates_of_images(nearest: dict[str, np.ndarray], taus: np.ndarray, n_control: float) -> dict[str, float]:
    """tau, copies and control rates with their intervals, from each draw's threshold."""
    rates = with_percentiles("tau", taus)
    for rate, name, n in (
        ("copies", "synthetic", len(nearest["synthetic"])),
        ("control_rate", "control", n_control),
        ("control_rate_decoded", "control_decoded", n_control),
    ):
        rates |= with_interval(rate, _shares(nearest[name], taus), n)
    return rates


def _exposed(counts: np.ndarray, n_synthetic: int, n_released: int, n: float) -> tuple[np.ndarray, np.ndarray]:
    """(mean exposure, effective sample size), [draw], of groups with counts[group, draw] near samples.

    The effective sample size is `n` if all samples are released. Fewer samples expose in part every group that all of
    them expose, so the mean has the uncertainty of a share of more groups: of so many that the groups with a near
    sample are the mean's share of them, and at most n |S| / n_released.
    """
    exposed, near = exposure(counts, n_synthetic, n_released).mean(axis=0), n * (counts > 0).mean(axis=0)
    at_most = n * n_synthetic / n_released
    return exposed, np.fmin(np.divide(near, exposed, out=np.full(len(near), at_most), where=near > 0), at_most)


def _one_image_each(patients: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One image of each patient, patients and images in random order."""
    order = generator.permutation(len(patients))
    return order[np.sort(np.unique(patients[order], return_index=True)[1])]


def _percentile_of_more(times: float, n: int) -> float:
    """The percentile of `n` maxima over some images that 5 % of maxima over `times` as many images exceed.

    100 * 0.95^(1 / times) for large n. The next value exceeds an interpolated quantile q of few values more often than
    in 1 - q of cases, in (1 + (1 - q) (n - 1)) / (n + 1) on average, and a maximum over more images exceeds it more
    often still. With `times` above 1 the percentile is raised, as far as n values allow, until it is exceeded as often
    as at `times` = 1.
    """
    percentile = PERCENTILE / 100
    of_many = percentile ** (1 / times)
    exceeded = 1 - (1 - (1 + (1 - percentile) * (n - 1)) / (n + 1)) ** (1 / times)
    of_few = 1 - ((n + 1) * exceeded - 1) / max(n - 1, 1)
    return 100 * min(max(of_many, of_few), 1.0)


def _thresholds(sets: list[np.ndarray], resampled: Resampled, percentile: float = PERCENTILE) -> np.ndarray:
    """The largest of the sets' percentiles, float64 [draw]; an empty set doesn't count."""
    return np.max([percentiles(values, resampled, percentile) for values in sets if len(values)], axis=0)


def _shares(values: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """Share of `values` above each threshold, float64 [draw]; NaN where there are no values."""
    if not len(values):
        return np.full(len(taus), np.nan)
    return (len(values) - np.searchsorted(np.sort(values), taus, side="right")) / len(values)


def matched_threshold(nearest: Iterable[np.ndarray], percentile: float = PERCENTILE) -> float:
    """The matched rule's threshold of copies: the largest of the percentiles of each set's similarities.

    The sets are V and, if the generator has a decoder, decoded V; empty ones don't count.
    """
    return float(max(np.percentile(values, percentile) for values in nearest if len(values)))


def largest_by_chance(nearest: np.ndarray) -> float:
    """The value that the largest of so many similarities of non-matching pairs exceeds with a chance of `CHANCE`.

    By the Gumbel distribution with their median and upper quartile.
    """
    forth, back = unbounded_scale(nearest)
    values = forth(nearest)
    median, quartile = np.percentile(values, [50, 75])
    reduced = [-np.log(-np.log(share)) for share in (0.5, 0.75, (1 - CHANCE) ** (1 / len(values)))]
    spread = (quartile - median) / (reduced[1] - reduced[0])
    return float(back(median + spread * (reduced[2] - reduced[0])))


def tail_threshold(nearest: np.ndarray, rate: float) -> float:
    """The value that a share `rate` of such similarities exceeds, by an exponential tail above percentile `TAIL`."""
    forth, back = unbounded_scale(nearest)
    values = forth(nearest)
    start = np.percentile(values, TAIL)
    excess = values[values > start] - start
    mean = excess.mean() if len(excess) else 0.0
    return float(back(start + mean * np.log((1 - TAIL / 100) / rate)))


def unbounded_scale(similarity: np.ndarray) -> tuple[Callable, Callable]:
    """(a function to an unbounded scale, its inverse) for similarities of this kind."""
    if np.abs(similarity).max() > 1 + 1e-5:
        return lambda values: np.asarray(values, np.float64), lambda values: values
    return lambda values: np.arctanh(np.clip(np.asarray(values, np.float64), -1 + 1e-7, 1 - 1e-7)), np.tanh
