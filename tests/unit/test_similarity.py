"""Similarities are Pearson correlations, and blocks change nothing."""

import numpy as np
import pytest

from copylens import similarity
from copylens.files import read_array, write_array


def test_nearest_neighbours_are_those_of_the_full_correlation_matrix():
    generator = np.random.default_rng(0)
    queries, candidates = generator.normal(size=(2100, 8)), generator.normal(size=(30, 8))
    correlation, index = similarity.nearest(*map(similarity.standardise, (queries, candidates)), k=4)
    full = np.corrcoef(queries, candidates)[: len(queries), len(queries) :]
    order = np.argsort(-full, axis=1)[:, :4]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(correlation, np.take_along_axis(full, order, axis=1), atol=1e-5)


def test_k_is_cut_to_the_number_of_candidates():
    rows = similarity.standardise(np.random.default_rng(1).normal(size=(3, 8)))
    assert similarity.nearest(rows, rows, k=10)[0].shape == (3, 3)


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(2)
    write_array(generator.normal(size=(6, 8)), tmp_path / "scans.npy")
    write_array(generator.normal(size=(2, 4, 8)), tmp_path / "synthetic.npy")
    (tmp_path / "rows.tsv").write_text("row\n5\n1\n2\n")
    names = ("scans.npy", "synthetic.npy", "rows.tsv", "matrix.npy")
    return [tmp_path / name for name in names]


def test_the_full_matrix_is_synthetic_by_training_row(files):
    similarity.write_matrix(*files)
    scans, synthetic = read_array(files[0]), read_array(files[1])[-1]
    expected = np.corrcoef(synthetic, scans[[5, 1, 2]])[:4, 4:]
    np.testing.assert_allclose(read_array(files[3]), expected, atol=1e-5)


def test_a_full_matrix_above_the_limit_is_refused(files, monkeypatch):
    monkeypatch.setattr(similarity, "LARGEST_MATRIX", 11)
    with pytest.raises(ValueError, match="4 x 3 = 12 cells are more than the 11"):
        similarity.write_matrix(*files)
    assert not files[3].exists()
