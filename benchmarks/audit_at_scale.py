"""The detector `copylens` on as many images as a large audit has: drawn chest X-rays, 64 x 64.

    python benchmarks/audit_at_scale.py 10000 14000 2

Arguments: how many training images and queries (an audit's synthetic, calibration, control and planted ones), and how
many processes of one thread each share the queries. Writes benchmarks/audit_at_scale.tsv: processor seconds of the fit
and of embedding the training images, processor milliseconds per query of the search for candidates and of their proof,
the queries' wall-clock seconds, and the peak memory of the largest process.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.comparison import Comparer, all_of
from copylens.detection import Embedder, embed_file, train_detector
from copylens.files import read_array, write_array, write_table
from copylens.images import scale
from copylens.readers import phantom
from copylens.schema import validate

XRAYS = {"anatomy": "xray", "size": 64, "noise": 0.02, "seed": 0, "repeat_share": 0.0}
K = 20


class Timed(Comparer):
    """Notes the processor seconds of the search for candidates."""

    seconds = 0.0

    def candidates(self, queries, k):
        start = time.process_time()
        found = super().candidates(queries, k)
        self.seconds += time.process_time() - start
        return found


def draw(folder: Path, n: int) -> None:
    """images.npy of so many patients."""
    settings = XRAYS | {"n_patients": n}
    scans = phantom.list_scans(folder, settings)
    images = [scale(phantom.load(folder, scan, settings).pixels, {"kind": "minmax"}) for scan in scans]
    write_array(np.stack(images).astype(np.float32), folder / "images.npy")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def teach(folder: Path, n_training: int, answers) -> None:
    """Processor seconds of fit and of embedding, and peak memory."""
    settings = {"kind": "copylens"}
    validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
    images = np.array(read_array(folder / "images.npy")[:n_training])
    write_array(images, folder / "training.npy")
    roles = pd.DataFrame({"scan": range(n_training), "patient": range(n_training), "role": "train"})
    write_table(roles, folder / "splits.tsv")
    start = time.process_time()
    train_detector(settings, folder / "training.npy", folder / "splits.tsv", folder / "work", folder / "detector")
    fitted = time.process_time()
    embed_file(Embedder(folder / "detector"), folder / "training.npy", folder / "scans.npy", folder / "embedding")
    answers.put((fitted - start, time.process_time() - fitted, peak_mib()))


def search(folder: Path, rows: np.ndarray, answers) -> None:
    """Processor seconds of candidates and of proof of some rows of images.npy, and peak memory."""
    training = all_of(read_array(folder / "training.npy"), read_array(folder / "scans.npy"))
    comparer = Timed(folder / "detector", training)
    images = read_array(folder / "images.npy")
    start = time.process_time()
    comparer.nearest(all_of(images, images)[rows], K)
    answers.put((comparer.seconds, time.process_time() - start - comparer.seconds, peak_mib()))


def run(target, arguments: list[tuple]) -> np.ndarray:
    """What the target puts into its queue for each of the arguments, each in a process of its own, [process, value]."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=target, args=(*each, answers)) for each in arguments]
    for process in processes:
        process.start()
    found = np.array([answers.get() for _ in processes])
    for process in processes:
        process.join()
    return found


def main(n_training: int, n_queries: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, n_training + n_queries)
        ((fit, embedding, memory),) = run(teach, [(folder, n_training)])
        start = time.perf_counter()
        rows = np.array_split(np.arange(n_training, n_training + n_queries), workers)
        found = run(search, [(folder, some) for some in rows])
        wall = time.perf_counter() - start
    candidates, proof = 1000 * found[:, :2].sum(axis=0) / n_queries
    row = {"training": n_training, "queries": n_queries, "workers": workers}
    row |= {"fit_s": round(fit, 1), "embedding_s": round(embedding, 1)}
    row |= {"candidates_ms": round(candidates, 1), "proof_ms": round(proof, 1), "wall_s": round(wall, 1)}
    table = pd.DataFrame([{**row, "peak_mib": round(max(memory, found[:, 2].max()))}])
    table.to_csv(Path(__file__).with_name("audit_at_scale.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
