"""The exact search of many embeddings in files, against the machine's rate of multiplying matrices.

    python benchmarks/search_at_scale.py 100000 1000000

Arguments: numbers of queries and of candidates, of width 128, for the 5 nearest. Writes benchmarks/search_at_scale.tsv:
seconds, GFLOP/s of the search (2 x queries x candidates x width operations) and of a product of two large matrices
(sgemm) just before and after it, and the search's peak memory.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "2"

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.detection.search import Shards, nearest
from copylens.imaging.correlation import standardise_array
from copylens.jobs.files import write_array

WIDTH, K, SHARD, CHECKED = 128, 5, 125_000, 20


def search(queries: list[Path], candidates: list[Path], answers) -> None:
    """Seconds and MiB of a search, in a process of its own; the first queries are checked against all candidates."""
    start = time.perf_counter()
    found = nearest(Shards(queries), Shards(candidates), K)[1]
    seconds = time.perf_counter() - start
    answers.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, found[:CHECKED]))


def sgemm() -> float:
    """GFLOP/s of a product of two 4096 x 4096 matrices, the best of five."""
    one, other = (np.random.default_rng(seed).random((4096, 4096), dtype=np.float32) for seed in range(2))
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        one @ other
        rates.append(2 * 4096**3 / 1e9 / (time.perf_counter() - start))
    return max(rates)


def shards(folder: Path, name: str, n: int) -> list[Path]:
    paths = []
    for number, start in enumerate(range(0, n, SHARD)):
        generator = np.random.default_rng([len(name), number])
        rows = generator.standard_normal((min(SHARD, n - start), WIDTH), dtype=np.float32)
        paths.append(folder / f"{name}_{number:02d}.npy")
        write_array(rows, paths[-1])
    return paths


def main(n_queries: int, n_candidates: int) -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        files = [shards(Path(folder), name, n) for name, n in (("query", n_queries), ("candidates", n_candidates))]
        before, answers = sgemm(), context.Queue()
        process = context.Process(target=search, args=(*files, answers))
        process.start()
        seconds, memory, found = answers.get()
        process.join()
        rate, after = 2e-9 * n_queries * n_candidates * WIDTH / seconds, sgemm()
        some = standardise_array(np.load(files[0][0])[:CHECKED])
        everything = np.concatenate([some @ standardise_array(np.load(path)).T for path in files[1]], axis=1)
        assert (np.argsort(-everything, axis=1)[:, :K] == found).mean() > 0.99, "the search must be exact"
    row = {"queries": n_queries, "candidates": n_candidates, "seconds": round(seconds, 1), "gflops": round(rate, 1)}
    row |= {
        "sgemm_before": round(before, 1),
        "sgemm_after": round(after, 1),
        "share": round(rate / max(before, after), 3),
    }
    table = pd.DataFrame([{**row, "peak_mib": round(memory)}])
    table.to_csv(Path(__file__).with_name("search_at_scale.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
