"""Both rules at any size: false positives as often as they say, fewer copies above a higher threshold, in any order."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from copylens.detection.search import nearest
from copylens.evaluation.neighbours import Neighbours
from copylens.evaluation.thresholds import RATES, Patients, matched_threshold, rates_of_copies, score
from copylens.imaging.correlation import standardise_array

UNLIKELY = 1e-12  # so that no example fails by chance, however many are tried
NONE = {"calibration_decoded": np.empty(0), "control_decoded": np.empty(0)}
seeds = st.integers(0, 2**32)
# Of similarities; some have ties.
DRAWS = {
    "normal": lambda generator, n: generator.normal(size=n),
    "heavy tails": lambda generator, n: generator.standard_cauchy(size=n),
    "bounded": lambda generator, n: np.tanh(generator.exponential(size=n)),
    "ties": lambda generator, n: generator.integers(10, size=n) / 10,
}
draws = st.sampled_from(list(DRAWS))


def copies_of(synthetic, calibration, control=None) -> dict[str, float]:
    """The matched rule's rates of sets of similarities, one image of each patient."""
    sets = {"synthetic": synthetic, "calibration": calibration, "control": synthetic if control is None else control}
    patients = [np.arange(len(sets[name])) for name in ("calibration", "control")]
    return rates_of_copies(sets | NONE, *patients, draws=2, seed=0)


def chance_of(n_called: int, n_above: int, n_calibration: int, repeats: int) -> np.ndarray:
    """Chance of each number of values above all but the `n_above` largest of V's, of `n_called` in each of `repeats`.

    Beta-binomial, whatever the distribution, where all values come from one.
    """
    once = betabinom(n_called, n_above, n_calibration - n_above + 1).pmf(np.arange(n_called + 1))
    return functools.reduce(np.convolve, [once] * repeats)


@given(st.integers(20, 200), st.integers(1, 40), draws.filter(lambda name: name != "ties"), seeds)
def test_the_false_positive_rate_is_nominal_for_any_sizes_and_distribution(n_calibration, n_called, name, seed):
    generator, repeats, called = np.random.default_rng(seed), 40, np.zeros(2)
    for _ in range(repeats):
        sizes = (n_called, n_calibration, n_called)
        rates = copies_of(*(DRAWS[name](generator, n) for n in sizes))
        called += [rates["copies"] * n_called, rates["control_rate"] * n_called]
    # The percentile lies between two of V's values.
    n_above = n_calibration - int(0.95 * (n_calibration - 1))
    fewer, more = (chance_of(n_called, n, n_calibration, repeats) for n in (n_above - 1, n_above))
    for count in called.round().astype(int):
        assert fewer[: count + 1].sum() > UNLIKELY and more[count:].sum() > UNLIKELY


def embedded(generator, *sizes: int) -> list[np.ndarray]:
    return [standardise_array(generator.normal(size=(n, 8))) for n in sizes]


def scores_of(training, calibration, control, synthetic, patients=None) -> dict[str, dict[str, float]]:
    """Both rules' rates of sets of embeddings; there is no decoder."""
    sets = {"synthetic": synthetic, "calibration": calibration, "control": control}
    sets |= dict.fromkeys(NONE, training[:0])
    found = {name: Neighbours(*nearest(of, training, len(training)), floor=-1.0) for name, of in sets.items()}
    numbers = patients or Patients(*(np.arange(len(each)) for each in (training, calibration, control)))
    return score(found, numbers, 2, seed=0)[0]


def test_over_all_sizes_nothing_is_memorized_as_often_as_both_rules_say():
    def nominal(n):  # an interpolated percentile of n values is exceeded by a little more than 5 %
        return (1 + 0.05 * (n - 1)) / (n + 1)

    rows = []
    for repeat in range(150):
        generator = np.random.default_rng([23, repeat])
        n_train, n_calibration, n_synthetic = generator.integers([20, 40, 20], [41, 81, 121])
        rules = scores_of(*embedded(generator, n_train, n_calibration, n_calibration, n_synthetic))
        row = [rules["matched"][name] - nominal(n_train) for name in ("memorized", "memorized_at_n_train")]
        row += [rules["matched"][name] - nominal(n_calibration) for name in ("copies", "control_rate")]
        # The paper's threshold is one for |V| candidates.
        for name, candidates in (("memorized", n_synthetic), ("copies", n_train)):
            row.append(rules["paper"][name] - (1 - (1 - nominal(n_train)) ** (candidates / n_calibration)))
        rows.append(row)
    error = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
    assert (np.abs(np.mean(rows, axis=0)) < 4 * error).all() and error.max() < 0.006


@st.composite
def pairs(draw):
    """(similarities to all of T, groups of T's images, thresholds), with ties among all."""
    n, n_train = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    generator = np.random.default_rng(draw(seeds))
    similarity = DRAWS[draw(draws)](generator, n * n_train).reshape(n, n_train).astype(np.float32)
    groups = np.unique(generator.integers(n_train, size=n_train), return_inverse=True)[1]
    taus = draw(st.lists(st.sampled_from(similarity.ravel().tolist()) | st.floats(-2, 2, width=32), min_size=1))
    return similarity, groups, np.array(taus)


@given(pairs())
def test_a_higher_threshold_counts_no_more_and_the_counts_are_those_of_the_full_matrix(drawn):
    similarity, groups, taus = drawn
    order = np.argsort(-similarity, axis=1, kind="stable")
    found = Neighbours(np.take_along_axis(similarity, order, axis=1), order, floor=float(similarity.min()))
    counts = found.count_above(groups, taus)
    nearest_of_group = np.stack([similarity[:, groups == group].max(axis=1) for group in range(groups.max() + 1)])
    assert (counts == (nearest_of_group[:, :, None] > taus).sum(axis=1)).all()
    assert (np.diff(counts[:, np.argsort(taus)], axis=1) <= 0).all()
    np.testing.assert_array_equal(found.to_train(groups), nearest_of_group.max(axis=1))


@given(st.integers(20, 60), st.integers(1, 40), draws, seeds, st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_more_similar_calibration_images_raise_the_threshold_and_leave_no_more_copies(n, m, name, seed, higher):
    generator = np.random.default_rng(seed)
    synthetic, calibration = DRAWS[name](generator, m), DRAWS[name](generator, n)
    before, after = copies_of(synthetic, calibration), copies_of(synthetic, calibration + np.resize(higher, n))
    assert after["tau"] >= before["tau"] and after["copies"] <= before["copies"]
    for rates in (before, after):
        assert rates["copies"] == np.mean(synthetic > rates["tau"])
    assert (
        before["tau"]
        == pytest.approx(matched_threshold([calibration]))
        == pytest.approx(np.percentile(calibration, 95))
    )


@given(seeds, st.integers(20, 30), st.integers(30, 40), st.booleans())
def test_the_order_of_images_changes_no_rate(seed, n, n_synthetic, several):
    generator = np.random.default_rng(seed)
    sets = embedded(generator, n, n, n, n_synthetic)
    numbers = [generator.integers(n, size=n) if several else generator.permutation(n) for _ in range(3)]
    patients = [np.unique(of, return_inverse=True)[1] for of in numbers]
    orders = [generator.permutation(len(images)) for images in sets]
    turned = [images[order] for images, order in zip(sets, orders, strict=True)]
    whose = [of[order] for of, order in zip(patients, orders, strict=False)]
    before, after = scores_of(*sets, Patients(*patients)), scores_of(*turned, Patients(*whose))
    # Of several images of a patient of V, chance takes one for the maxima of the matched rule.
    free = ("copies", "control_rate", "tau") if several else RATES
    for rule, names in (("paper", RATES), ("matched", free)):
        for name in names:
            np.testing.assert_allclose(before[rule][name], after[rule][name], atol=1e-6, err_msg=f"{rule} {name}")
