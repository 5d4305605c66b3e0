"""Several detectors' evidence for one patient adds up, at the false positive rate of one detector."""

import numpy as np
import pytest

from copylens.evaluation.combination import Candidates, combine, combine_sets, half_cauchy, surprise
from copylens.evaluation.thresholds import matched_threshold

N_TRAIN, RANKS = 200, 3
SHARED = 0.6  # of the variance of new patients' similarities by different detectors


def new_patients(generator: np.random.Generator, n: int, n_detectors: int = 3) -> list[Candidates]:
    """Candidates of `n` new patients. The more alike one is to somebody, the more often all detectors name the same."""
    common, named = generator.normal(size=n), generator.integers(N_TRAIN, size=n)
    same, found = generator.random(n) < 0.3 / (1 + np.exp(-2 * common)), []
    for _ in range(n_detectors):
        nearest = SHARED**0.5 * common + (1 - SHARED) ** 0.5 * generator.normal(size=n)
        similarity = nearest[:, None] - np.arange(RANKS)
        patient = np.stack([generator.permutation(N_TRAIN)[:RANKS] for _ in range(n)])
        patient[same, 0] = named[same]
        found.append(Candidates(similarity, patient))
    return found


def more_alike(found: list[Candidates], source: np.ndarray, deviations: tuple) -> list[Candidates]:
    """The same images as copies of `source`, more alike to it by so many deviations to each detector (0: unseen)."""
    copies = []
    for each, more in zip(found, deviations, strict=True):
        similarity, patient = each.similarity.copy(), each.patient.copy()
        if more:
            similarity[:, 0], patient[:, 0] = similarity[:, 0] + more, source
        copies.append(Candidates(similarity, patient))
    return copies


def found_by_each(sets: dict, calibration: np.ndarray) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Shares of each set above the threshold of the combined evidence, and above that of each detector alone."""
    n_detectors = len(sets["calibration"])
    sets = {"calibration_decoded": [nobody()] * n_detectors, **sets}
    statistic = {name: value for name, (value, _) in combine_sets(sets, calibration).items()}
    tau = matched_threshold([statistic["calibration"]])
    combined = {name: float((value > tau).mean()) for name, value in statistic.items() if len(value)}
    taus = [matched_threshold([each.similarity[:, 0]]) for each in sets["calibration"]]
    alone = {
        name: [float((each.similarity[:, 0] > one).mean()) for each, one in zip(found, taus, strict=True)]
        for name, found in sets.items()
        if len(found[0])
    }
    return combined, alone


def nobody() -> Candidates:
    return Candidates(np.empty((0, RANKS)), np.empty((0, RANKS), int))


def test_p_is_a_rank_and_beyond_the_tail_an_exponential():
    generator = np.random.default_rng(0)
    known = generator.exponential(size=5000)
    for p in (0.9, 0.5, 0.25):
        assert surprise(np.quantile(known, 1 - p), known) == pytest.approx(-np.log(p), abs=0.01)
    # P(x > 20) = exp(-20), which no rank of 5000 values can show.
    np.testing.assert_allclose(surprise(np.array([3.0, 20.0]), known), [3.0, 20.0], rtol=0.1)
    rising = surprise(np.linspace(0, 30, 500), known)
    assert (np.diff(rising) >= 0).all() and rising[0] == 0
    assert surprise(np.array(0.999), np.tanh(known[:50] / 10)) > 30, "correlations have a tail on Fisher's scale"
    np.testing.assert_allclose(surprise(np.array([0.0, 1.0]), np.full(30, 0.5)), [0, np.log(31)])


def test_the_statistic_is_that_of_half_cauchy():
    p = np.array([[0.5, 1.0, 1e-9, 0.02], [0.01, 1.0, 1.0, 0.02]])
    wanted = np.log((1 / np.tan(np.pi / 2 * p)).sum(axis=0))
    values = half_cauchy(-np.log(p))
    np.testing.assert_allclose(values[[0, 2, 3]], wanted[[0, 2, 3]], rtol=1e-6)
    assert values[1] < -20, "p = 1 by both is no evidence"
    assert half_cauchy(np.array([[2000.0], [1.0]])) == pytest.approx(2000 + np.log(2 / np.pi))


def test_evidence_for_one_patient_adds_up_and_for_different_ones_does_not():
    four = [np.array([[4.0]])] * 2
    together, patient = combine(four, [np.array([[7]]), np.array([[7]])])
    apart, _ = combine(four, [np.array([[7]]), np.array([[8]])])
    alone, _ = combine(four[:1], [np.array([[7]])])
    assert patient.tolist() == [7] and together > alone and apart == pytest.approx(alone, abs=1e-6)
    # Named second by both, and first by neither; of a patient's images the most similar one counts.
    surprises = [np.array([[4.0, 3.9, 3.8]]), np.array([[4.0, 3.9, 0.1]])]
    value, patient = combine(surprises, [np.array([[1, 2, 2]]), np.array([[3, 2, 3]])])
    assert patient.tolist() == [2] and value == pytest.approx(half_cauchy(np.array([3.9, 3.9])))


@pytest.mark.parametrize(("n_patients", "images"), [(40, 1), (120, 1), (60, 3)])
def test_the_false_positive_rate_is_that_of_the_percentile(n_patients, images):
    generator, shares = np.random.default_rng(1), []
    for _ in range(30):
        patients = np.arange(n_patients).repeat(images)
        found = [each.of(patients) for each in new_patients(generator, n_patients)]
        sets = {"calibration": found, "control": new_patients(generator, 1000)}
        shares.append(found_by_each(sets, patients)[0]["control"])
    # The next value exceeds the interpolated percentile of n in (1 + 0.05 (n - 1)) / (n + 1) of cases.
    wanted = (1 + 0.05 * (n_patients - 1)) / (n_patients + 1)
    assert np.mean(shares) == pytest.approx(wanted, abs=3 * np.std(shares) / 30**0.5 + 0.004)


@pytest.mark.parametrize(("seen", "most"), [((2.5, 2.5, 0), 0.0), ((0, 4.0, 0), 0.03), ((4.0, 1.0, 0), 0.03)])
def test_combined_evidence_finds_what_the_better_detector_finds(seen, most):
    """Two that see half of it find more together; a copy that one of three sees well is lost to none of them."""
    generator, lost = np.random.default_rng(2), []
    for _ in range(20):
        copies = more_alike(new_patients(generator, 400), generator.integers(N_TRAIN, size=400), seen)
        sets = {"calibration": new_patients(generator, 200), "synthetic": copies}
        combined, alone = found_by_each(sets, np.arange(200))
        lost.append(max(alone["synthetic"]) - combined["synthetic"])
    assert np.mean(lost) < most


def test_a_strong_detector_beside_a_useless_one_loses_at_most_three_points():
    generator, lost = np.random.default_rng(3), []
    for _ in range(20):
        copies = more_alike(new_patients(generator, 400, 2), generator.integers(N_TRAIN, size=400), (3.5, 0))
        sets = {"calibration": new_patients(generator, 140, 2), "synthetic": copies}
        combined, alone = found_by_each(sets, np.arange(140))
        lost.append(alone["synthetic"][0] - combined["synthetic"])
        assert alone["synthetic"][0] > 0.85
    assert np.mean(lost) < 0.03


def test_of_the_null_before_and_after_a_decoder_the_less_surprising_one_counts():
    generator = np.random.default_rng(4)
    found = new_patients(generator, 100)
    decoded = [Candidates(each.similarity + 1, each.patient) for each in new_patients(generator, 100)]
    samples = new_patients(generator, 500)
    sets = {"calibration": found, "synthetic": samples}
    plain, _ = combine_sets({**sets, "calibration_decoded": [nobody()] * 3}, np.arange(100))["synthetic"]
    both, _ = combine_sets({**sets, "calibration_decoded": decoded}, np.arange(100))["synthetic"]
    assert (both <= plain + 1e-9).all() and both.mean() < plain.mean() - 0.5
