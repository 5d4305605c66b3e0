"""Both rules say what DESIGN's formulas say, and the matched one has the false positive rate that it should."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from copylens.detection.search import nearest
from copylens.evaluation.intervals import effective_number, percentiles, resample, with_interval, with_percentiles
from copylens.evaluation.neighbours import Neighbours
from copylens.evaluation.thresholds import RATES, Patients, _exposed, _percentile_of_more, exposure, score
from copylens.imaging.correlation import standardise_array


def embeddings(generator, n, d=16):
    return standardise_array(generator.normal(size=(n, d)))


def neighbours(queries, training, k=None):
    """The `k` nearest training images of each query, all of them by default."""
    similarity, position = nearest(queries, training, k or len(training))
    return Neighbours(similarity, position, floor=-1.0)


def rates_of(training, calibration, control, synthetic, decoded=None, patients=None, draws=100, k=None, copied=None):
    """Both rules on sets of embeddings. Where `copied` is false, a sample is unlike any training image."""
    none = np.empty((0, 16), np.float32)
    sets = {"synthetic": synthetic, "calibration": calibration, "control": control}
    sets |= {"calibration_decoded": none if decoded is None else decoded, "control_decoded": none}
    found = {name: neighbours(images, training, k) for name, images in sets.items()}
    if copied is not None:
        found["synthetic"].similarity[~copied] = -1
    numbers = patients or Patients(*(np.arange(len(each)) for each in (training, calibration, control)))
    return score(found, numbers, draws, seed=0)[0]


def test_under_the_null_the_matched_rule_holds_its_level_and_the_papers_does_not():
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


def test_a_generator_that_replays_its_training_images_is_found():
    generator = np.random.default_rng(2)
    training, calibration, control = (embeddings(generator, n) for n in (100, 100, 100))
    replayed = standardise_array(training[:50].repeat(2, axis=0) + 0.02 * generator.normal(size=(100, 16)))
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
    """Null check of the rates at |S| = |T|: at its level for any |T|, where the paper's tau grows by |T| / |V|."""
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


@pytest.mark.parametrize(("noise", "of_each"), [(0.02, 3), (0.3, 4)])
def test_alike_images_of_a_calibration_patient_are_not_more_candidates(noise, of_each):
    """Null check: |S| = |V| images, but V has them of a third or a quarter as many patients."""
    n, repeats = 40, 40
    names = ("memorized", "patients_memorized", "memorized_at_n_train", "patients_memorized_at_n_train")
    found = []
    for repeat in range(repeats):
        generator = np.random.default_rng([15, repeat])
        training, control, synthetic = (embeddings(generator, size) for size in (n, n, n * of_each))
        calibration = embeddings(generator, n).repeat(of_each, axis=0)
        calibration = standardise_array(calibration + noise * generator.normal(size=calibration.shape)).astype(
            np.float32
        )
        patients = Patients(np.arange(n), np.repeat(np.arange(n), of_each), np.arange(n))
        rates = rates_of(training, calibration, control, synthetic, patients=patients)["matched"]
        found.append([rates[name] for name in names])
    nominal = (1 + 0.05 * (n - 1)) / (n + 1)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(repeats)
    assert np.abs(np.mean(found, axis=0) - nominal).max() <= 3 * error.max() and error.max() < 0.01


@pytest.mark.parametrize(("n", "times"), [(40, 3), (40, 1), (40, 0.4), (100, 2.5)])
def test_a_threshold_for_more_candidates_calls_no_more(n, times):
    generator = np.random.default_rng(16)
    taus = np.percentile(generator.uniform(size=(20000, n)), _percentile_of_more(times, n), axis=1)
    nominal = (1 + 0.05 * (n - 1)) / (n + 1)
    assert 0.05 < np.mean(1 - taus**times) < nominal + 0.003
    assert _percentile_of_more(1, n) == pytest.approx(95)
    assert _percentile_of_more(times, 10**6) == pytest.approx(100 * 0.95 ** (1 / times), abs=1e-3)


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
    near = standardise_array(training + 0.1 * generator.normal(size=training.shape)).astype(np.float32)
    plain = rates_of(training, calibration, control, synthetic)
    both = rates_of(training, calibration, control, synthetic, decoded=near)
    assert both["matched"]["tau"] > plain["matched"]["tau"]
    assert both["paper"]["tau"] == plain["paper"]["tau"]
    assert both["matched"]["tau_memorized"] > plain["matched"]["tau_memorized"]
    assert np.isnan(plain["matched"]["control_rate_decoded"])
    # What lies far from T after the decoder doesn't lower a threshold.
    far = rates_of(
        training, calibration, control, synthetic, decoded=-training.mean(axis=0, keepdims=True).repeat(50, 0)
    )
    assert far["matched"] == pytest.approx(plain["matched"], nan_ok=True)


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
    synthetic = standardise_array(training[:100] + 0.1 * generator.normal(size=(100, 16))).astype(np.float32)
    few, every = (rates_of(training, calibration, control, synthetic, k=k) for k in (50, 200))
    for rule, rates in every.items():
        for name in RATES:
            np.testing.assert_allclose(few[rule][name], rates[name], atol=0.01)


def one_image_each(n: int) -> Patients:
    return Patients(np.arange(n), np.arange(n), np.arange(n))


@pytest.mark.parametrize("n", [40, 100])
def test_no_call_leaves_room_for_few_copies(n):
    generator = np.random.default_rng(17)
    training, calibration, control = (embeddings(generator, n) for _ in range(3))
    for rates in rates_of(training, calibration, control, training, draws=400, copied=np.zeros(n, bool)).values():
        for name in ("copies", "memorized", "patients_memorized"):
            assert (rates[name], rates[f"{name}_low"]) == (0, 0)
            assert 0.01 < rates[f"{name}_high"] == pytest.approx(1 - 0.025 ** (1 / n), abs=0.005)


def test_where_the_threshold_does_not_matter_the_interval_is_clopper_and_pearsons():
    generator = np.random.default_rng(18)
    training, calibration, control = (embeddings(generator, 60) for _ in range(3))
    rates = rates_of(training, calibration, control, training, draws=1000, copied=np.arange(60) < 6)["matched"]
    expected = binomtest(6, 60).proportion_ci(0.95, "exact")
    assert (rates["copies_low"], rates["copies_high"]) == pytest.approx((expected.low, expected.high), abs=0.003)
    whole = with_interval("share", np.ones(1001), 20)
    assert whole["share_low"] == pytest.approx(0.025 ** (1 / 20), abs=0.001) and whole["share_high"] == 1
    # An interval that a biased bootstrap left to one side reaches to the estimate.
    assert with_interval("share", np.array([0.9, *np.full(100, 0.1)]), 50)["share_high"] == 0.9
    assert with_interval("share", np.array([0.1, *np.full(100, 0.9)]), 50)["share_low"] == 0.1


def test_intervals_hold_a_small_share_of_copies_and_the_nominal_false_positive_rate():
    n, share, covered = 40, 0.01, []
    for repeat in range(120):
        generator = np.random.default_rng([19, n, repeat])
        training, calibration, control = (embeddings(generator, n) for _ in range(3))
        rates = rates_of(training, calibration, control, training, copied=generator.random(n) < share)["matched"]
        covered.append(
            [
                low <= true <= high
                for low, true, high in (
                    (rates["copies_low"], share, rates["copies_high"]),
                    (rates["control_rate_low"], 0.05, rates["control_rate_high"]),
                )
            ]
        )
    assert np.mean(covered, axis=0).min() >= 0.93


def test_images_of_one_patient_count_as_one():
    """Every patient has four times the same image: the intervals are those of one image each, not of four."""
    generator = np.random.default_rng(20)
    once = [embeddings(generator, 40) for _ in range(3)]
    synthetic = standardise_array(np.concatenate([once[0][:8], embeddings(generator, 72)])).astype(np.float32)
    four = Patients(*(np.repeat(np.arange(40), 4) for _ in range(3)))
    single = rates_of(*once, synthetic, draws=1000, patients=one_image_each(40))
    repeated = rates_of(*(images.repeat(4, axis=0) for images in once), synthetic, draws=1000, patients=four)
    for rule in ("paper", "matched"):
        for name in ("control_rate", "memorized", "patients_memorized", "tau"):
            one, other = (rates[rule][f"{name}_high"] - rates[rule][f"{name}_low"] for rates in (single, repeated))
            assert other == pytest.approx(one, rel=0.2), (rule, name)
    assert effective_number(np.repeat(np.arange(40), 4)) == 40
    assert effective_number(np.array([0, 0, 0, 1])) == pytest.approx(1.6)


def test_thresholds_are_percentiles_and_their_bootstraps_pass_the_largest_value():
    generator = np.random.default_rng(21)
    values, resampled = generator.normal(size=60), resample(60, 2000, generator)
    taus = percentiles(values, resampled, 95)
    assert taus[0] == pytest.approx(np.percentile(values, 95))
    for draw in np.flatnonzero(resampled.times[:, -1] == 0)[:20]:
        assert taus[draw] == pytest.approx(np.percentile(np.repeat(values, resampled.times[draw, :-1]), 95))
    assert 0.01 < (taus > values.max()).mean() < 0.3
    # The true 95th percentile of the normal distribution lies within.
    ends = with_percentiles("tau", taus)
    assert ends["tau_low"] < 1.645 < ends["tau_high"]
    assert with_percentiles("tau", np.array([50.0, *range(101)])) == pytest.approx(
        {"tau": 50, "tau_low": 2.5, "tau_high": 97.5}
    )


def test_few_samples_released_expose_few_patients_whatever_is_not_known():
    """Of 400 samples none is near anybody: a single one exposes hardly a patient, all of them 3.7 of 40 at most."""
    generator = np.random.default_rng(22)
    training, calibration, control = (embeddings(generator, 40) for _ in range(3))
    sets = {"synthetic": training.repeat(10, axis=0), "calibration": calibration, "control": control}
    found = {name: neighbours(images, training) for name, images in sets.items()}
    found["synthetic"].similarity[:] = -1
    found |= {f"{name}_decoded": neighbours(training[:0], training) for name in ("calibration", "control")}
    curve = score(found, one_image_each(40), 200, seed=0)[1]
    assert curve[0]["exposed_high"] == pytest.approx(3.7 / 400 / 40, rel=0.1)
    assert curve[-1]["exposed_high"] == pytest.approx(1 - 0.025 ** (1 / 40), abs=0.005)


def test_what_fewer_samples_expose_counts_as_much_as_the_patients_that_all_samples_show():
    # Of 40 patients the first four have near samples among 400: two 1 and two 20 in one draw, none in the other.
    counts = np.zeros((40, 2), int)
    counts[:4, 0] = 1, 1, 20, 20
    exposed, n = _exposed(counts, 400, 100, 40)
    assert exposed == pytest.approx([exposure(np.array([1, 20]), 400, 100).sum() / 20, 0])
    assert n[0] * exposed[0] == pytest.approx(4) and n[1] == 40 * 400 / 100
    assert _exposed(counts, 400, 400, 40)[1].tolist() == [40, 40]
