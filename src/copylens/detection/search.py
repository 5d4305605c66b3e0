"""Nearest neighbours by Pearson correlation of embeddings, with no more than a block of either set in memory.

Embeddings may lie in memory-mapped files, one or several (`Shards`), and are standardised block by block. The search is
exact by default; an approximate one prints its recall, the share of the exact neighbours that it found.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from copylens.imaging.correlation import standardise_array
from copylens.jobs.files import read_array, read_table, write_array
from copylens.jobs.seeds import generator_of

QUERIES, CANDIDATES = 2**12, 2**17  # compared at a time
PRODUCT = 2**9, 2**13  # queries and candidates of one matrix product: 16 MiB, which caches hold
LARGEST_MATRIX = 2**28  # cells of a full matrix: 1 GiB of float32
EXACT = {"kind": "exact"}
SAMPLE = 500  # queries that are also searched exactly, to measure an approximate search
SHOWN_EVERY = 30  # seconds between two lines of progress


class Rows:
    """Some rows of an array, read on demand: `rows[start:stop]` is an array [stop - start, d]."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self.array, self.rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.array[self.rows[rows]]


class Shards:
    """Embeddings in several .npy files, one after the other, read on demand."""

    def __init__(self, paths: Sequence[Path | str]):
        self.arrays = [read_array(path) for path in paths]
        widths = {array.shape[1:]: path for array, path in zip(self.arrays, paths, strict=True)}
        if len(widths) != 1:
            (one, path), (other, odd), *_ = widths.items()
            raise ValueError(
                f"{odd}: holds rows of shape {list(other)}, but {path} rows of {list(one)}; embed all alike"
            )
        self.starts = np.cumsum([0, *map(len, self.arrays)])
        self.shape = (int(self.starts[-1]), *self.arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        parts = [
            array[max(0, start - first) : max(0, stop - first)]
            for array, first in zip(self.arrays, self.starts, strict=False)
        ]
        return np.concatenate([part for part in parts if len(part)] or parts[:1])


def nearest(queries, candidates, k: int, search: dict = EXACT) -> tuple[np.ndarray, np.ndarray]:
    """The `k` most correlated candidates of each query, best first.

    Both are embeddings [image, d]: arrays, `Rows` or `Shards`. Returns correlation[query, rank], float32, and
    index[query, rank], int64. search: kind (exact, ivf or hnsw) and, unless exact, above (the least number of
    candidates for it; fewer are searched exactly), lists and probes (ivf), links and effort (hnsw).

    Raises ValueError for embeddings of different lengths and for more neighbours than there are candidates.
    """
    if queries.shape[1] != candidates.shape[1]:
        raise ValueError(
            f"nearest: the queries' embeddings have {queries.shape[1]} values, the candidates' {candidates.shape[1]}; "
            "embed both with the same detector"
        )
    if k > len(candidates):
        raise ValueError(f"nearest: {k} neighbours were asked for, but there are {len(candidates)} candidates")
    if search["kind"] == "exact" or len(candidates) < search["above"]:
        return _exact(queries, candidates, k)
    index = _index(candidates, search)
    correlation, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for block in _blocks(len(queries), QUERIES):
        correlation[block], rows[block] = index.search(standardise_array(queries[block]), k)
    checked = np.sort(generator_of("approximate search, checked").permutation(len(queries))[:SAMPLE])
    truth = _exact(_picked(queries, checked), candidates, k)
    share = np.mean([len(np.intersect1d(*pair)) / k for pair in zip(truth[1], rows[checked], strict=True)])
    print(
        f"{search['kind']} search found {share:.2%} of the {k} exact neighbours of {len(checked)} queries", flush=True
    )
    return np.clip(correlation, -1, 1), rows


def _exact(queries, candidates, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Each block of candidates with each block of queries; a query keeps its best so far."""
    correlation = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    blocks = _blocks(len(candidates), CANDIDATES)
    progress = Progress(len(queries) * len(candidates))
    on_gpu = faiss.StandardGpuResources() if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() else None
    faiss.cvar.distance_compute_blas_query_bs, faiss.cvar.distance_compute_blas_database_bs = PRODUCT
    for block in blocks:
        some = standardise_array(candidates[block])
        for part in _blocks(len(queries), QUERIES):
            wanted = standardise_array(queries[part])
            arguments = (wanted, some, min(k, len(some)))
            if on_gpu:
                nearest_in_block = faiss.knn_gpu(on_gpu, *arguments, metric=faiss.METRIC_INNER_PRODUCT)
            else:
                nearest_in_block = faiss.knn(*arguments, metric=faiss.METRIC_INNER_PRODUCT)
            values, numbers = nearest_in_block
            if block.start or len(some) < k:
                values = np.concatenate([correlation[part], values], axis=1)
                numbers = np.concatenate([rows[part], numbers + block.start], axis=1)
            order = np.lexsort((numbers, -values))[:, :k]  # ties go to the first row
            correlation[part] = np.take_along_axis(values, order, axis=1)
            rows[part] = np.take_along_axis(numbers, order, axis=1)
            progress.add(len(wanted) * len(some))
    return np.clip(correlation, -1, 1), rows


def _index(candidates, search: dict):
    """An approximate index of the candidates, which it holds in memory."""
    width, n = candidates.shape[1], len(candidates)
    index: faiss.IndexIVFFlat | faiss.IndexHNSWFlat
    if search["kind"] == "ivf":
        lists = search["lists"] or round(4 * n**0.5)
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.nprobe = 0, search["probes"]
        # Spread over all candidates, because neighbouring rows may be alike.
        centres = np.sort(generator_of("approximate search, centres").permutation(n)[: 64 * lists])
        index.train(standardise_array(_picked(candidates, centres)))
    else:
        index = faiss.IndexHNSWFlat(width, search["links"], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = index.hnsw.efSearch = search["effort"]
    for block in _blocks(n, CANDIDATES):
        index.add(standardise_array(candidates[block]))
    return index


def _picked(rows, numbers: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[row : row + 1] for row in numbers])


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


class Progress:
    """Prints the progress of a long search now and then."""

    def __init__(self, pairs: int):
        self.pairs, self.done, self.start, self.shown = pairs, 0, time.monotonic(), time.monotonic()

    def add(self, pairs: int) -> None:
        self.done, now = self.done + pairs, time.monotonic()
        if now - self.shown > SHOWN_EVERY:
            self.shown, left = now, (now - self.start) * (self.pairs / self.done - 1)
            print(f"compared {self.done / self.pairs:.0%} of {self.pairs:.2g} pairs, {left:.0f} s left", flush=True)


def write_matrix(scans_path: Path, synthetic_path: Path, training_rows_path: Path, matrix_path: Path) -> None:
    """Write the full matrix, float32 similarity[synthetic, scan]: a row per sample of the network's last state, columns
    in the order of training_rows.tsv.

    Raises ValueError above `LARGEST_MATRIX` cells; nearest.npz has the nearest neighbours at any size.
    """
    synthetic = standardise_array(read_array(synthetic_path)[-1])
    training = standardise_array(read_array(scans_path)[read_table(training_rows_path)["row"]])
    cells = len(synthetic) * len(training)
    if cells > LARGEST_MATRIX:
        raise ValueError(
            f"{matrix_path}: {len(synthetic)} x {len(training)} = {cells} cells are more than the {LARGEST_MATRIX} "
            "that a full matrix may have; nearest.npz beside it holds each image's nearest ones"
        )
    write_array(synthetic @ training.T, matrix_path)
