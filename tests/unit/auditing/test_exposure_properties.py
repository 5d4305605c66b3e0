"""More copies never expose fewer patients, and more samples released never fewer either."""

import dataclasses

import numpy as np
from audit_cases import N_TRAIN, evidence
from hypothesis import given
from hypothesis import strategies as st

from copylens.auditing.evidence import Evidence
from copylens.auditing.exposure import Rule, exposed_patients, exposed_share, named_patients
from copylens.evaluation.thresholds import _exposed, exposure

patients = st.integers(-1, N_TRAIN - 1)  # whom a sample is a copy of, -1 for nobody


@st.composite
def rules(draw):
    """A rule that finds more copies than false positives, in the order of its rates."""
    control_rate, control_rate_high, least_found_low, sensitivity = sorted(
        draw(st.lists(st.floats(0.001, 1), min_size=4, max_size=4, unique=True))
    )
    named = {"control_rate": control_rate, "control_rate_high": control_rate_high}
    return named | {"least_found_low": least_found_low, "sensitivity": sensitivity}


def with_samples(found: Evidence, kept: np.ndarray, added: list[int]) -> Evidence:
    """The evidence of the kept samples and of added ones, in which all detectors see copies of these patients."""
    detectors = {}
    for name, of in found.detectors.items():
        similarity = np.concatenate([of.similarity["synthetic"][kept], np.full(len(added), 99.0)])
        patient = np.concatenate([of.patient["synthetic"][kept], np.array(added, int)])
        changed = {
            "similarity": of.similarity | {"synthetic": similarity},
            "patient": of.patient | {"synthetic": patient},
        }
        detectors[name] = dataclasses.replace(of, **changed)
    n = len(kept) + len(added)
    return dataclasses.replace(found, detectors=detectors, identical_to=np.full(n, -1), group=np.arange(n))


@given(st.lists(st.integers(0, 60), min_size=1), st.integers(1, 60), st.data())
def test_a_group_with_more_near_samples_or_more_released_is_exposed_more(k, n_synthetic, data):
    k = np.minimum(np.sort(k), n_synthetic)
    few, many = sorted(data.draw(st.tuples(*[st.integers(1, n_synthetic)] * 2), label="released"))
    of_few, of_many = (exposure(k, n_synthetic, released) for released in (few, many))
    assert (np.diff(of_few) >= -1e-12).all() and (of_few <= of_many + 1e-12).all()
    assert ((of_few > -1e-12) & (of_few < 1 + 1e-12)).all() and (of_few[k == 0] < 1e-12).all()
    np.testing.assert_allclose(exposure(k, n_synthetic, n_synthetic), k > 0, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30), st.integers(1, 40))
def test_more_copies_of_anybody_expose_no_smaller_share(counted, released):
    counts = np.array([[few, few + added] for few, added in counted])
    mean, n = _exposed(counts, 40, released, len(counted))
    assert mean[0] <= mean[1] + 1e-12 and (n <= len(counted) * 40 / released + 1e-9).all()


@given(rules(), st.integers(1, 300), st.integers(1, 500), st.data())
def test_more_named_patients_are_no_fewer_exposed_ones(rule, n_patients, n, data):
    named = st.integers(0, n_patients)
    few, many = sorted(data.draw(st.tuples(named, named), label="named"))
    certain, more_certain = sorted(data.draw(st.tuples(*[st.integers(0, few)] * 2), label="certain"))
    of_few = exposed_share(few, n, n_patients, rule, 0.95, certain)
    for other in ((many, certain), (few, more_certain), (many, more_certain)):
        of_more = exposed_share(other[0], n, n_patients, rule, 0.95, other[1])
        assert all(one <= another for one, another in zip(of_few, of_more, strict=True))
    value, low, high = of_few
    assert 0 <= low <= value <= high <= 1 and low * n_patients >= certain - 1e-9


@given(st.lists(patients, min_size=20, max_size=60), st.lists(st.integers(0, N_TRAIN - 1), max_size=20))
def test_samples_that_are_added_take_nobody_off_the_list(copies, added):
    before = evidence(np.array(copies))
    after = with_samples(before, np.arange(len(copies)), added)
    (named, times), (more_named, more_times) = map(named_patients, (before, after))
    assert set(named) | set(added) == set(more_named)
    assert more_times.sum() == times.sum() + len(added)
    fewer = dict(zip(named, times, strict=True))
    assert all(times >= fewer.get(patient, 0) for patient, times in zip(more_named, more_times, strict=True))


@given(st.lists(patients, min_size=20, max_size=60), rules(), st.data())
def test_a_sample_that_becomes_a_copy_exposes_no_smaller_share(copies, rates, data):
    found, rule = evidence(np.array(copies)), Rule(None, rates)
    free = np.flatnonzero(~found.copies("synthetic")).tolist()
    places = data.draw(
        st.lists(st.sampled_from(free), unique=True, max_size=5) if free else st.just([]), label="places"
    )
    kept = np.delete(np.arange(len(copies)), places)
    of = data.draw(st.lists(st.integers(0, N_TRAIN - 1), min_size=len(places), max_size=len(places)), label="of")
    after = with_samples(found, kept, of)
    shares = [exposed_patients(each, rule, 0.95) for each in (found, after)]
    assert all(one <= other for one, other in zip(*shares, strict=True))
