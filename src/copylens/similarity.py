"""Nearest neighbours by Pearson correlation of embeddings, in blocks: no full matrix unless it's asked for and fits."""

from pathlib import Path

import faiss
import numpy as np

from copylens.files import read_array, read_table, write_array, write_arrays
from copylens.splits import rows_of

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


def count_above(groups: np.ndarray, training: np.ndarray, synthetic: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """How many synthetic images are nearer than tau to a group of training images, for many taus at once.

    groups[scan] numbers each training row's group (the row itself, or its patient) from 0; `taus` ascend. Returns
    counts[group, tau], int64: synthetic images s with max over the group's t of rho(t, s) > tau. Works in blocks.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) > 0])
    n_groups, n_taus = len(starts), len(taus)
    # histogram[group, j]: synthetic images that exceed exactly the j lowest taus
    histogram = np.zeros(n_groups * (n_taus + 1), dtype=np.int64)
    for start in range(0, len(synthetic), BLOCK):
        similarity = training[order] @ synthetic[start : start + BLOCK].T  # similarity[scan, synthetic]
        # No correlation exceeds 1, though rounding may.
        of_group = np.minimum(np.maximum.reduceat(similarity, starts, axis=0), 1)
        group, column = np.nonzero(of_group > taus[0])
        exceeded = np.searchsorted(taus, of_group[group, column], side="left")
        histogram += np.bincount(group * (n_taus + 1) + exceeded, minlength=len(histogram))
    reached = histogram.reshape(n_groups, n_taus + 1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return reached[:, 1:]


def compare_to_training(
    scans_path: Path,
    synthetic_path: Path,
    reconstructed_path: Path,
    splits_path: Path,
    training_rows_path: Path,
    k: int,
    nearest_path: Path,
) -> None:
    """Write nearest.npz: for each pair of sets `<queries>_to_<candidates>` correlations and indices [query, k].

    Of the samples' every state there is one: [state, query, k] from and to `synthetic`.

    Sets: synthetic, train, calibration, control, and the held-out ones after the decoder (`..._decoded`; no rows where
    the network has none). Indices are rows of images.npy for real candidates and sample numbers for synthetic ones.
    """
    sets, rows = embedding_sets(scans_path, synthetic_path, reconstructed_path, splits_path, training_rows_path)
    pairs = [(name, "train") for name in sets if name != "train"]
    pairs += [("train", name) for name in ("synthetic", "calibration", "calibration_decoded") if len(sets[name])]
    arrays = {}
    for queries, candidates in pairs:
        if "synthetic" in (queries, candidates):
            states = range(len(sets["synthetic"]))
            of_state = [{**sets, "synthetic": sets["synthetic"][state]} for state in states]
            found = [nearest(of_these[queries], of_these[candidates], k) for of_these in of_state]
            correlation, index = (np.stack(parts) for parts in zip(*found, strict=True))
        else:
            correlation, index = nearest(sets[queries], sets[candidates], k)
        arrays[f"{queries}_to_{candidates}_correlation"] = correlation
        arrays[f"{queries}_to_{candidates}_index"] = rows[candidates][index]
    write_arrays(arrays, nearest_path)


def embedding_sets(
    scans_path: Path,
    synthetic_path: Path,
    reconstructed_path: Path,
    splits_path: Path,
    training_rows_path: Path,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Standardised embeddings by set, and for each set the row of images.npy (or the sample number) of each entry.

    Embeddings are [image, d], of the synthetic images [state, image, d].
    """
    splits = read_table(splits_path)
    scans = standardise(read_array(scans_path))
    rows = {
        "train": read_table(training_rows_path)["row"].to_numpy(),
        "calibration": rows_of(splits, "calibration"),
        "control": rows_of(splits, "control"),
    }
    sets = {name: scans[numbers] for name, numbers in rows.items()}
    synthetic = read_array(synthetic_path)
    sets["synthetic"], rows["synthetic"] = standardise(synthetic), np.arange(synthetic.shape[1])
    decoded = read_array(reconstructed_path)
    decoded = standardise(decoded) if len(decoded) else np.empty((0, scans.shape[1]), np.float32)
    n_calibration = len(rows["calibration"]) if len(decoded) else 0
    sets["calibration_decoded"], sets["control_decoded"] = decoded[:n_calibration], decoded[n_calibration:]
    for name in ("calibration", "control"):
        rows[f"{name}_decoded"] = rows[name] if len(decoded) else rows[name][:0]
    return sets, rows


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
