"""Nearest neighbours by Pearson correlation of embeddings, in blocks: no full matrix unless it's asked for and fits."""

from pathlib import Path

import faiss
import numpy as np

from copylens.files import read_array, read_table, write_array

BLOCK = 1024
LARGEST_MATRIX = 2**28  # cells of a full matrix: 1 GiB of float32


def standardise(embeddings: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and norm 1, float32 [..., image, d], so that an inner product is a Pearson correlation."""
    centred = np.asarray(embeddings, dtype=np.float32)
    centred = centred - centred.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.ascontiguousarray(centred / np.maximum(norms, np.finfo(np.float32).tiny))


def nearest(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` most similar candidates of each query, best first.

    Both inputs are standardised rows. Returns correlation[query, rank], float32, and index[query, rank], int64;
    k is cut to the number of candidates.
    """
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    k = min(k, len(candidates))
    blocks = [index.search(queries[start : start + BLOCK], k) for start in range(0, len(queries), BLOCK)]
    if not blocks:
        return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    correlation, rows = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return np.clip(correlation, -1, 1), rows


def write_matrix(scans_path: Path, synthetic_path: Path, training_rows_path: Path, matrix_path: Path) -> None:
    """Write the full matrix, float32 similarity[synthetic, scan]: rows of S (the network's last state), columns in the
    order of training_rows.tsv.

    Raises ValueError above `LARGEST_MATRIX` cells; nearest.npz has the nearest neighbours at any size.
    """
    synthetic = standardise(read_array(synthetic_path)[-1])
    training = standardise(read_array(scans_path)[read_table(training_rows_path)["row"]])
    cells = len(synthetic) * len(training)
    if cells > LARGEST_MATRIX:
        raise ValueError(
            f"{matrix_path}: {len(synthetic)} x {len(training)} = {cells} cells are more than the {LARGEST_MATRIX} "
            "that a full matrix may have; nearest.npz beside it holds each image's nearest ones"
        )
    write_array(synthetic @ training.T, matrix_path)
