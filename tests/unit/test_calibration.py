"""Both rules say what DESIGN's formulas say, and the matched one accuses no innocent generator."""

from itertools import combinations

import numpy as np
import pytest

from copylens.calibration import RATES, Patients, exposure, score
from copylens.neighbours import Neighbours
from copylens.similarity import nearest, standardise


def embeddings(generator, n, d=16):
    return standardise(generator.normal(size=(n, d)))


def neighbours(queries, training, k=None):
    """The `k` nearest training images of each query, all of them by default."""
    similarity, position = nearest(queries, training, k or len(training))
    return Neighbours(similarity, position, floor=-1.0)


def rates_of(training, calibration, control, synthetic, decoded=None, patients=None, draws=100, k=None):
    """Both rules on sets of embeddings."""
    none = np.empty((0, 16), np.float32)
    sets = {"synthetic": synthetic, "calibration": calibration, "control": control}
    sets |= {"calibration_decoded": none if decoded is None else decoded, "control_decoded": none}
    found = {name: neighbours(images, training, k) for name, images in sets.items()}
    numbers = patients or Patients(*(np.arange(len(each)) for each in (training, calibration, control)))
    return score(found, numbers, draws, seed=0)[0]


def test_an_innocent_generator_is_cleared_by_the_matched_rule_and_accused_by_the_papers():
    """Null check: S, T, V and H of one distribution, |S| = 5 |V| and |T| = 3 |V|, over many draws."""
    n_train, n_calibration, n_synthetic, repeats = 120, 40, 200, 100
    rows = []
    for repeat in range(repeats):
        generator = np.random.default_rng([7, repeat])
        sets = [embeddings(generator, n) for n in (n_train, n_calibration, n_calibration, n_synthetic)]
        rules = rates_of(*sets)
        names = ("copies", "memorized", "control_rate")
        rows.append([rules[rule][name] for rule in ("paper", "matched") for name in names])
    rows = np.array(rows)
    mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / np.sqrt(repeats)
    paper_copies, paper_memorized, _, copies, memorized, control = mean

    # 1 - 0.95^(|S| / |V|) for training images, 1 - 0.95^(|T| / |V|) for samples.
    memorized_of_nothing = 1 - 0.95 ** (n_synthetic / n_calibration)
    copies_of_nothing = 1 - 0.95 ** (n_train / n_calibration)
    # A percentile of 40 values, interpolated, is exceeded by a little more than 5 %: (1 + 0.05 * 39) / 41 = 7.2 %.
    nominal = (1 + 0.05 * (n_calibration - 1)) / (n_calibration + 1)
    assert copies == pytest.approx(nominal, abs=3 * error[3])
    assert control == pytest.approx(nominal, abs=3 * error[5])
    assert memorized == pytest.approx(0.05, abs=3 * error[4] + 0.005)
    assert paper_memorized == pytest.approx(memorized_of_nothing, abs=3 * error[1] + 0.01)
    assert paper_copies == pytest.approx(copies_of_nothing, abs=3 * error[0] + 0.01)


def test_the_control_images_in_the_place_of_the_synthetic_ones_give_five_percent():
    generator = np.random.default_rng(1)
    training, calibration, control = (embeddings(generator, n) for n in (600, 400, 400))
    matched = rates_of(training, calibration, control, synthetic=control, draws=500)["matched"]
    assert matched["copies"] == matched["control_rate"]
    assert matched["copies_low"] <= 0.05 <= matched["copies_high"]


def test_a_generator_that_replays_its_training_images_is_found_guilty():
    generator = np.random.default_rng(2)
    training, calibration, control = (embeddings(generator, n) for n in (100, 100, 100))
    replayed = standardise(training[:50].repeat(2, axis=0) + 0.02 * generator.normal(size=(100, 16)))
    rules = rates_of(training, calibration, control, replayed.astype(np.float32))
    for rates in rules.values():
        assert rates["copies"] == 1
        assert 0.5 <= rates["memorized"] < 0.6
        assert rates["control_rate"] < 0.15


def test_the_papers_rule_is_its_three_formulas():
    generator = np.random.default_rng(3)
    training, calibration, control, synthetic = (embeddings(generator, n) for n in (30, 20, 25, 40))
    rates = rates_of(training, calibration, control, synthetic)["paper"]
    tau = np.percentile((training @ calibration.T).max(axis=1), 95)
    similarity = synthetic @ training.T  # similarity[synthetic, scan]
    assert rates["tau"] == pytest.approx(tau)
    assert rates["copies"] == np.mean(similarity.max(axis=1) > tau)
    assert rates["memorized"] == np.mean(similarity.max(axis=0) > tau)
    assert rates["control_rate"] == np.mean((control @ training.T).max(axis=1) > tau)


def test_the_matched_rule_is_its_two_formulas():
    generator = np.random.default_rng(4)
    training, calibration, control, synthetic = (embeddings(generator, n) for n in (30, 5, 25, 12))
    rates = rates_of(training, calibration, control, synthetic)["matched"]
    tau_copies = np.percentile((calibration @ training.T).max(axis=1), 95)
    tau_paper = np.percentile((training @ calibration.T).max(axis=1), 95)
    similarity = training @ synthetic.T  # similarity[scan, synthetic]
    assert rates["tau"] == pytest.approx(tau_copies)
    assert rates["copies"] == np.mean(similarity.max(axis=0) > tau_copies)
    subsets = list(combinations(range(12), 5))
    exposed = [(similarity[:, list(subset)].max(axis=1) > tau_paper).mean() for subset in subsets]
    assert rates["memorized"] == pytest.approx(np.mean(exposed), abs=1e-9)


def test_a_patient_is_memorized_when_one_of_their_images_is():
    generator = np.random.default_rng(5)
    training, calibration, control = (embeddings(generator, n) for n in (40, 40, 40))
    synthetic = training[::4]  # one image of every second patient
    patients = Patients(np.arange(40) // 2, np.arange(40), np.arange(40))
    rates = rates_of(training, calibration, control, synthetic, patients=patients)["paper"]
    assert rates["memorized"] < 0.4
    assert rates["patients_memorized"] >= 0.5


@pytest.mark.parametrize("of_each", [1, 3])
def test_patients_with_several_images_are_memorized_no_oftener_than_they_should(of_each):
    """Null check: the matched rule's maxima over a patient's images have as many candidates in tau as in k."""
    n, repeats = 60, 60
    found = []
    for repeat in range(repeats):
        generator = np.random.default_rng([11, repeat])
        training, calibration, control, synthetic = (embeddings(generator, size) for size in (n * of_each, n, n, 2 * n))
        patients = Patients(np.repeat(np.arange(n), of_each), np.arange(n), np.arange(n))
        rates = rates_of(training, calibration, control, synthetic, patients=patients)["matched"]
        found.append(rates["patients_memorized"])
    # As above, a percentile of 60 values is exceeded by a little more than 5 %.
    nominal = (1 + 0.05 * (n - 1)) / (n + 1)
    assert np.mean(found) == pytest.approx(nominal, abs=3 * np.std(found, ddof=1) / np.sqrt(repeats))


@pytest.mark.parametrize("n_train", [40, 250])
def test_as_many_samples_as_training_images_expose_five_percent_out_of_nothing(n_train):
    """Null check of the rates at |S| = |T|: innocent whatever |T|, where the paper's tau accuses by |T| / |V|."""
    n_calibration, repeats = 100, 60
    found = []
    for repeat in range(repeats):
        generator = np.random.default_rng([13, repeat])
        training, calibration, control, synthetic = (
            embeddings(generator, n) for n in (n_train, n_calibration, n_calibration, 300)
        )
        rules = rates_of(training, calibration, control, synthetic)
        found.append([rules[rule]["memorized_at_n_train"] for rule in ("matched", "paper")])
    (matched, paper), error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(repeats)
    # A percentile of few values, interpolated, is exceeded by a little more than it says.
    assert matched == pytest.approx(0.05, abs=3 * error[0] + 0.05 / np.sqrt(n_train))
    assert paper == pytest.approx(1 - 0.95 ** (n_train / n_calibration), abs=3 * error[1] + 0.02)


def test_rates_at_n_train_are_their_formula():
    generator = np.random.default_rng(14)
    training, calibration, control, synthetic = (embeddings(generator, n) for n in (6, 12, 25, 10))
    rates = rates_of(training, calibration, control, synthetic)["matched"]
    similarity = training @ synthetic.T  # similarity[scan, synthetic]
    # |S| = 10 are fewer than |V| = 12, so 10 of V set tau; which ones is drawn.
    chosen = np.random.default_rng([0, 4]).permutation(12)[:10]
    tau = np.percentile((training @ calibration[chosen].T).max(axis=1), 100 * 0.95 ** (10 / 6))
    exposed = [(similarity[:, list(subset)].max(axis=1) > tau).mean() for subset in combinations(range(10), 6)]
    assert rates["memorized_at_n_train"] == pytest.approx(np.mean(exposed), abs=1e-9)


def test_fewer_samples_than_calibration_images_are_matched_all_the_same():
    found = []
    for repeat in range(60):
        generator = np.random.default_rng([12, repeat])
        training, calibration, control, synthetic = (embeddings(generator, n) for n in (200, 200, 50, 40))
        found.append(rates_of(training, calibration, control, synthetic)["matched"]["memorized"])
    assert np.mean(found) == pytest.approx(0.05, abs=3 * np.std(found, ddof=1) / np.sqrt(60) + 0.003)


def test_the_larger_threshold_of_raw_and_decoded_calibration_images_is_taken():
    generator = np.random.default_rng(6)
    training, calibration, control, synthetic = (embeddings(generator, n) for n in (50, 50, 50, 50))
    near = standardise(training + 0.1 * generator.normal(size=training.shape)).astype(np.float32)
    plain = rates_of(training, calibration, control, synthetic)
    both = rates_of(training, calibration, control, synthetic, decoded=near)
    assert both["matched"]["tau"] > plain["matched"]["tau"]
    assert both["paper"]["tau"] == plain["paper"]["tau"]
    assert np.isnan(plain["matched"]["control_rate_decoded"])


def test_intervals_hold_their_value_and_shrink_with_more_patients():
    generator = np.random.default_rng(8)
    widths = []
    for n in (50, 800):
        training, calibration, control, synthetic = (embeddings(generator, n) for _ in range(4))
        rates = rates_of(training, calibration, control, synthetic)["matched"]
        for name in RATES:
            if not np.isnan(rates[name]):
                assert rates[f"{name}_low"] <= rates[name] <= rates[f"{name}_high"]
        widths.append(rates["control_rate_high"] - rates["control_rate_low"])
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize(("n", "released"), [(10, 3), (6, 6), (5, 1)])
def test_exposure_is_the_share_of_subsets_that_hold_a_marked_sample(n, released):
    for k in range(n + 1):
        subsets = list(combinations(range(n), released))
        expected = np.mean([min(subset) < k for subset in subsets])
        assert exposure(np.array([k]), n, released)[0] == pytest.approx(expected, abs=1e-12)


def test_counts_of_groups_are_the_counts_of_the_full_matrix():
    generator = np.random.default_rng(9)
    training, synthetic = embeddings(generator, 21), embeddings(generator, 500)
    groups = generator.permutation(np.arange(21) % 7)
    taus = np.array([0.4, -0.2, 0.1, 0.4, 0.8])
    similarity = training @ synthetic.T
    counts = neighbours(synthetic, training).count_above(groups, taus)
    for group in range(7):
        of_group = similarity[groups == group].max(axis=0)
        assert counts[group].tolist() == [(of_group > tau).sum() for tau in taus]


def test_a_few_neighbours_of_each_image_give_the_rates_of_all():
    generator = np.random.default_rng(10)
    training, calibration, control = (embeddings(generator, n) for n in (200, 100, 100))
    synthetic = standardise(training[:100] + 0.1 * generator.normal(size=(100, 16))).astype(np.float32)
    few, every = (rates_of(training, calibration, control, synthetic, k=k) for k in (50, 200))
    for rule, rates in every.items():
        for name in RATES:
            np.testing.assert_allclose(few[rule][name], rates[name], atol=0.01)
