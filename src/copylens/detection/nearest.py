"""Each image's nearest training images by one detector of any kind.

A detector compares in up to two stages. Candidates are the training images whose embeddings correlate most with the
query's; a kind with ``compare`` ranks the embeddings by the query's image instead. A kind with ``verify`` compares the
candidates again, by their images. A kind with ``index`` and ``search`` does both: what it needs of the training images
is made once. A kind with ``lay`` first turns each query to the training images' orientation
(`copylens.imaging.orientation`).
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.detection.search import EXACT, Progress, Rows, nearest
from copylens.jobs.files import read_array, read_table, read_yaml, write_arrays
from copylens.jobs.job import timed

SETS = ("synthetic", "calibration", "control", "calibration_decoded", "control_decoded")
QUERIES = 64  # compared at a time by their images


@dataclass(frozen=True)
class Images:
    """Rows of an array of images and of their embeddings, both read on demand."""

    array: np.ndarray  # [row, *grid]
    embedded: np.ndarray  # [row, d]
    rows: np.ndarray  # [image], of both

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows) -> "Images":
        return Images(self.array, self.embedded, self.rows[rows])

    @property
    def embeddings(self) -> Rows:
        """[image, d]"""
        return Rows(self.embedded, self.rows)

    def pixels(self, rows):
        """Images [B, 1, *grid], as input of a network."""
        from copylens.training.tensors import as_batch

        return as_batch(self.array[self.rows[rows]])


def all_of(array: np.ndarray, embedded: np.ndarray) -> Images:
    """All rows of an array."""
    return Images(array, embedded, np.arange(len(array)))


class Comparer:
    """One detector and the training images that it searches. The network is loaded only if its kind needs it."""

    def __init__(self, folder: Path, training: Images, search: dict = EXACT, patients: np.ndarray | None = None):
        self.folder, self.training, self.search, self.patients = folder, training, search, patients
        self.spec = read_yaml(folder / "spec.yaml")
        self.settings = self.spec["settings"]
        by_images = self.spec["compare"] or self.spec["search"]
        self._embeddings = training.embeddings[:] if by_images else training.embeddings

    @functools.cached_property
    def module(self):
        """The detector's network, ready to be used."""
        from copylens.detection.embed import load_detector

        return load_detector(self.folder)

    @property
    def kind(self):
        """The module of the detector's kind."""
        return implementation("detectors", self.settings["kind"])

    @functools.cached_property
    def index(self):
        """What a kind with `search` compares queries with, made by one thread: their number changes no bit of it."""
        with one_thread(self.module.device):
            return self.kind.index(self.module, self._embeddings)

    @functools.cached_property
    def lay(self) -> Callable:
        """Turns images [B, 1, *grid] to the training images' orientation if the kind has `lay`; else the identity."""
        if not self.spec["lay"]:
            return lambda images_BC: images_BC
        blocks = range(0, len(self.training), QUERIES)
        orienter = self.kind.lay(self.training.pixels(slice(start, start + QUERIES)) for start in blocks)
        return lambda images_BC: orienter(images_BC)[0]

    def nearest(self, queries: Images, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The `k` most similar training images: similarity, float32, and position in `training`, int64 [query, rank].

        Given the training images' patients, a kind with `compare` or `search` returns candidates of different patients.
        Blocks of queries are shared out among torch's threads; their number doesn't change a bit of the result.
        """
        k = min(k, len(self.training))
        if not len(queries):
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        by_embeddings = None
        if not (self.spec["compare"] or self.spec["search"]):
            by_embeddings = nearest(queries.embeddings, self._embeddings, k, self.search)
            if not self.spec["verify"]:
                return by_embeddings

        def of_block(start: int) -> tuple[np.ndarray, np.ndarray]:
            block = slice(start, start + QUERIES)
            images_BC = lay(queries.pixels(block))
            if index:
                return self._searched(images_BC, index, k)
            if by_embeddings:
                similarity, position = (values[block] for values in by_embeddings)
            else:
                compared = self.kind.compare(self.module, images_BC, self._embeddings)
                similarity, position = best_of(compared, k, self.patients)
            return self._verified(images_BC, position) if self.spec["verify"] else (similarity, position)

        blocks, progress, lay = [], Progress(len(queries) * len(self.training)), self.lay
        index = self.index if self.spec["search"] else None
        for block in in_threads(of_block, range(0, len(queries), QUERIES), self.module.device):
            blocks.append(block)
            progress.add(len(block[0]) * len(self.training))
        similarity, position = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return similarity, position

    def _searched(self, images_BC, index, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Candidates that the kind finds and compares by their images, the most similar first."""

        def choose(similarity: np.ndarray) -> np.ndarray:
            return best_of(similarity[None], k, self.patients)[1][0]

        found = self.kind.search(self.module, images_BC, index, choose, self.training.pixels)
        return _in_order(*found)

    def _verified(self, images_BC, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates compared again by their images, the most similar first."""
        of_images = [
            self.kind.verify(self.module, image_C, self.training.pixels(rows))
            for image_C, rows in zip(images_BC, position, strict=True)
        ]
        return _in_order(np.stack(of_images).astype(np.float32), position)


def _in_order(similarity: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [query, k], each query's most similar first."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    return np.take_along_axis(similarity, order, axis=1), np.take_along_axis(position, order, axis=1)


def in_threads(function: Callable, arguments: Iterable, device) -> Iterator:
    """`function` of each argument, in order; on a CPU as many calls run at a time as torch has threads, one each."""
    if device.type != "cpu":
        yield from map(function, arguments)
        return
    with one_thread(device) as n_threads, ThreadPoolExecutor(n_threads) as threads:
        yield from threads.map(function, arguments)


@contextlib.contextmanager
def one_thread(device) -> Iterator[int]:
    """On a CPU torch computes by one thread each, also in threads that start from now on; gives how many it had."""
    import torch

    n_threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(n_threads)


def best_of(similarity: np.ndarray, k: int, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The `k` largest entries of each row, largest first: values and columns; at most one of each group of columns."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    if groups is not None:
        order = np.stack([row[np.sort(np.unique(groups[row], return_index=True)[1])] for row in order])
    order = order[:, :k]
    return np.take_along_axis(similarity, order, axis=1), order


def compare_to_training(files: dict[str, Path], detector: Path, k: int, search: dict, nearest_path: Path) -> None:
    """Write nearest.npz: for each set of `SETS` `<set>_to_train_similarity` and `<set>_to_train_index` [query, k].

    The samples' arrays have a first axis for the network's states: [state, query, k]. Sets after the decoder have no
    rows for a network without one. Indices are rows of images.npy.

    search: settings of the search among embeddings (`copylens.detection.search.nearest`).

    files: images, samples, decoded (images [.., *grid]); scans, synthetic, reconstructed (their embeddings); splits and
    training_rows.
    """
    sets, rows = image_sets(files)
    (training,) = sets["train"]
    comparer = Comparer(detector, training, search)
    arrays = {}
    with timed("comparison"):
        for name in SETS:
            nearest_images = [comparer.nearest(images, k) for images in sets[name]]
            similarity, position = (np.stack(parts) for parts in zip(*nearest_images, strict=True))
            if name != "synthetic":
                similarity, position = similarity[0], position[0]
            arrays[f"{name}_to_train_similarity"] = similarity
            arrays[f"{name}_to_train_index"] = rows[position]
    write_arrays(arrays, nearest_path)


def image_sets(files: dict[str, Path]) -> tuple[dict[str, list[Images]], np.ndarray]:
    """Images by set (one entry per state of the synthetic ones, else one), and the training rows of images.npy."""
    splits = read_table(files["splits"])
    real = all_of(read_array(files["images"]), read_array(files["scans"]))
    rows = read_table(files["training_rows"])["row"].to_numpy()
    _check_held_out(splits, rows, files["splits"])
    held_out = {name: rows_of(splits, name) for name in ("calibration", "control")}
    sets = {"train": [real[rows]], **{name: [real[numbers]] for name, numbers in held_out.items()}}
    samples, synthetic = read_array(files["samples"]), read_array(files["synthetic"])
    sets["synthetic"] = [all_of(*state) for state in zip(samples, synthetic, strict=True)]
    decoded = all_of(read_array(files["decoded"]), read_array(files["reconstructed"]))
    n_calibration = len(held_out["calibration"])
    sets["calibration_decoded"], sets["control_decoded"] = [decoded[:n_calibration]], [decoded[n_calibration:]]
    return sets, rows


def _check_held_out(splits: pd.DataFrame, rows: np.ndarray, path: Path) -> None:
    """Raise ValueError unless calibration and control have patients, none of whom was trained on."""
    trained = set(splits["patient"].iloc[rows])
    for name in ("calibration", "control"):
        patients = set(splits["patient"][splits["role"] == name])
        if not patients:
            raise ValueError(f"{path}: has no {name} images; a threshold needs patients that weren't trained on")
        shared = len(trained & patients)
        if shared:
            raise ValueError(
                f"{path}: {shared} of {len(patients)} {name} patients are also trained on; split by patient"
            )
