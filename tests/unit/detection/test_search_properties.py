"""The nearest neighbours are those of numpy's full correlation matrix, whatever the shapes, ties and blocks."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copylens.detection import search
from copylens.detection.nearest import best_of
from copylens.detection.search import nearest
from copylens.imaging.correlation import standardise_array


@st.composite
def problems(draw):
    """(queries, candidates, k): few distinct rows, so that there are duplicates and ties, or many."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32), label="seed"))
    n_queries, n, d = draw(st.integers(1, 20)), draw(st.integers(1, 120)), draw(st.integers(2, 12))
    rows = generator.normal(size=(draw(st.integers(1, 2 * n)), d)) * draw(st.sampled_from([1e-3, 1.0, 1e4]))
    if draw(st.booleans(), label="whole numbers"):
        rows = np.round(rows / np.abs(rows).max() * 2)  # some rows without variance
    queries, candidates = (rows[generator.integers(len(rows), size=size)] for size in (n_queries, n))
    return queries, candidates, draw(st.integers(1, n))


def by_definition(queries, candidates) -> np.ndarray:
    """Pearson correlations, float64 [query, candidate]; 0 of rows without variance."""
    with np.errstate(invalid="ignore"):
        full = np.corrcoef(queries, candidates)
    return np.nan_to_num(full[: len(queries), len(queries) :])


@given(problems(), st.integers(1, 30), st.integers(1, 60))
def test_neighbours_are_those_of_the_full_matrix_in_blocks_of_any_size(problem, n_queries, n_candidates):
    queries, candidates, k = problem
    full = by_definition(queries, candidates)
    with mock.patch.multiple(search, QUERIES=n_queries, CANDIDATES=n_candidates):
        correlation, rows = nearest(queries, candidates, k)
    assert correlation.shape == rows.shape == (len(queries), k)
    assert (correlation.dtype, rows.dtype) == (np.float32, np.int64)
    assert all(len(set(found)) == k for found in rows.tolist())
    np.testing.assert_allclose(correlation, -np.sort(-full, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(correlation, np.take_along_axis(full, rows, axis=1), atol=1e-5)
    lower, later = (np.diff(values) for values in (correlation, rows))
    in_order = (lower < 0) | ((lower == 0) & (later > 0)) | (np.abs(correlation[:, 1:]) == 1)  # clipped after sorting
    assert in_order.all()


@given(problems())
def test_of_equal_candidates_the_first_is_the_nearest(problem):
    queries, candidates, k = problem
    first = np.unique(candidates, axis=0, return_index=True, return_inverse=True)
    nearest_rows = nearest(queries, candidates, k)[1][:, 0]
    assert (first[1][first[2].ravel()[nearest_rows]] == nearest_rows).all()


@given(problems(), st.integers(1, 5))
def test_more_neighbours_than_candidates_are_refused(problem, more):
    queries, candidates, _ = problem
    n = len(candidates)
    with pytest.raises(ValueError, match=f"{n + more} neighbours were asked for, but there are {n} candidates"):
        nearest(queries, candidates, n + more)


@given(st.integers(1, 300), st.floats(-1e6, 1e6, width=32))
@example(100, 0.1)
def test_a_row_without_variance_correlates_with_nothing(d, value):
    assert not standardise_array(np.full((2, d), value, np.float32)).any()


@given(problems(), st.data())
def test_the_best_of_a_matrix_are_each_groups_best_first_ones(problem, data):
    similarity = by_definition(*problem[:2]).astype(np.float32)
    columns = similarity.shape[1]
    groups = np.array(data.draw(st.lists(st.integers(0, 5), min_size=columns, max_size=columns), label="groups"))
    k = min(problem[2], len(set(groups)))
    values, found = best_of(similarity, k, groups)
    for row, of_row, in_row in zip(similarity, values, found, strict=True):
        expected = sorted(
            (-row[groups == group].max(), np.flatnonzero(groups == group)[row[groups == group].argmax()])
            for group in set(groups)
        )
        assert [(-value, column) for value, column in zip(of_row, in_row, strict=True)] == expected[:k]
