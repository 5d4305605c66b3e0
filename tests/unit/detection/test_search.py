"""Similarities are Pearson correlations, and blocks change nothing."""

import numpy as np
import pytest

from copylens.detection.search import Rows, Shards, nearest, write_matrix
from copylens.imaging.correlation import standardise_array
from copylens.jobs.files import read_array, write_array


def test_nearest_neighbours_are_those_of_the_full_correlation_matrix():
    generator = np.random.default_rng(0)
    queries, candidates = generator.normal(size=(2100, 8)), generator.normal(size=(30, 8))
    correlation, index = nearest(*map(standardise_array, (queries, candidates)), k=4)
    full = np.corrcoef(queries, candidates)[: len(queries), len(queries) :]
    order = np.argsort(-full, axis=1)[:, :4]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(correlation, np.take_along_axis(full, order, axis=1), atol=1e-5)


def test_blocks_and_shards_change_nothing(tmp_path, monkeypatch):
    generator = np.random.default_rng(3)
    queries, candidates = generator.normal(size=(50, 8)), generator.normal(size=(90, 8)).astype(np.float32)
    candidates[70] = candidates[3]  # of equals the first comes first
    whole = nearest(queries, candidates, k=5)
    paths = [tmp_path / f"{number}.npy" for number in range(3)]
    for path, part in zip(paths, np.split(candidates, [20, 21]), strict=True):
        write_array(part, path)
    monkeypatch.setattr("copylens.detection.search.QUERIES", 7)
    monkeypatch.setattr("copylens.detection.search.CANDIDATES", 25)
    for cut in (candidates, Shards(paths), Rows(candidates, np.arange(90))):
        correlation, rows = nearest(queries, cut, k=5)
        np.testing.assert_array_equal(rows, whole[1])
        np.testing.assert_allclose(correlation, whole[0], atol=1e-6)


def test_more_neighbours_than_a_block_has_candidates_are_found(monkeypatch):
    generator = np.random.default_rng(5)
    queries, candidates = generator.normal(size=(4, 8)), generator.normal(size=(30, 8))
    whole = nearest(queries, candidates, k=25)
    monkeypatch.setattr("copylens.detection.search.CANDIDATES", 10)
    np.testing.assert_array_equal(nearest(queries, candidates, k=25)[1], whole[1])


def test_a_constant_row_correlates_with_nothing():
    """The rounded mean of a hundred equal values is another value."""
    rows = np.vstack([np.full((2, 100), 0.1), np.random.default_rng(6).normal(size=100)])
    assert nearest(rows[:2], rows, k=3)[0].tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_search_says_how_much_it_found(kind, capsys):
    generator = np.random.default_rng(4)
    queries, candidates = generator.normal(size=(40, 8)), generator.normal(size=(2000, 8))
    search = {"kind": kind, "above": 2000, "lists": 20, "probes": 20, "links": 16, "effort": 200}
    exact = nearest(queries, candidates, k=5)
    found = nearest(queries, candidates, k=5, search=search)
    share = np.mean([len(set(one) & set(other)) / 5 for one, other in zip(exact[1], found[1], strict=True)])
    assert share > 0.95
    assert f"{kind} search found {share:.2%} of the 5 exact neighbours of 40 queries" in capsys.readouterr().out
    nearest(queries, candidates[1:], k=5, search=search)
    assert capsys.readouterr().out == "", "below the stated size the search is exact"


def test_what_cannot_be_compared_is_refused(tmp_path):
    rows = np.random.default_rng(1).normal(size=(3, 8))
    with pytest.raises(ValueError, match="10 neighbours were asked for, but there are 3 candidates"):
        nearest(rows, rows, k=10)
    with pytest.raises(ValueError, match="queries' embeddings have 8 values, the candidates' 7"):
        nearest(rows, rows[:, :7], k=1)
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    write_array(rows, paths[0])
    with pytest.raises(FileNotFoundError, match=r"b\.npy"):
        Shards(paths)
    write_array(rows[:, :7], paths[1])
    with pytest.raises(ValueError, match=r"b.npy: holds rows of shape \[7\], but .*a.npy rows of \[8\]"):
        Shards(paths)
    paths[1].write_bytes(paths[0].read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"b\.npy: isn't what was written there"):
        Shards(paths)


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(2)
    write_array(generator.normal(size=(6, 8)), tmp_path / "scans.npy")
    write_array(generator.normal(size=(2, 4, 8)), tmp_path / "synthetic.npy")
    (tmp_path / "rows.tsv").write_text("row\n5\n1\n2\n")
    names = ("scans.npy", "synthetic.npy", "rows.tsv", "matrix.npy")
    return [tmp_path / name for name in names]


def test_the_full_matrix_is_synthetic_by_training_row(files):
    write_matrix(*files)
    scans, synthetic = read_array(files[0]), read_array(files[1])[-1]
    expected = np.corrcoef(synthetic, scans[[5, 1, 2]])[:4, 4:]
    np.testing.assert_allclose(read_array(files[3]), expected, atol=1e-5)


def test_a_full_matrix_above_the_limit_is_refused(files, monkeypatch):
    monkeypatch.setattr("copylens.detection.search.LARGEST_MATRIX", 11)
    with pytest.raises(ValueError, match="4 x 3 = 12 cells are more than the 11"):
        write_matrix(*files)
    assert not files[3].exists()
