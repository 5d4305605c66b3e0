"""Nearest neighbours in blocks against the full distance matrix and sort that studies like this usually do.

Writes benchmarks/results.tsv: size, seconds (the best of three) and peak memory of each, their ratio, and the seconds
of the bare matrix product, which no exact search can do without, from one run on two threads.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "2"

import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from copylens.detection.search import nearest

SIZES, WIDTH, K = (1000, 8000), 128, 10


def by_blocks(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    return nearest(queries, candidates, K)[1]


def by_full_matrix(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    return np.argsort(cdist(queries, candidates, "correlation"), axis=1)[:, :K]


def product(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    return queries @ candidates.T


def measure(function, n: int, answers) -> None:
    """Seconds and MiB that `function` takes on n x n embeddings, in a process of its own."""
    generator = np.random.default_rng(0)
    queries, candidates = (generator.normal(size=(n, WIDTH)).astype(np.float32) for _ in range(2))
    function(queries[:K], candidates[:K])  # imports what it needs
    before, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(3):
        start = time.perf_counter()
        answer = function(queries, candidates)
        seconds.append(time.perf_counter() - start)
    answers.put((min(seconds), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, answer[:, :K]))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    rows = []
    for n in SIZES:
        found = {}
        for function in (by_blocks, by_full_matrix, product):
            answers = context.Queue()
            process = context.Process(target=measure, args=(function, n, answers))
            process.start()
            found[function.__name__] = answers.get()
            process.join()
        (fast, small, index), (slow, large, full_index) = found["by_blocks"], found["by_full_matrix"]
        assert (index == full_index).mean() > 0.999, "both ways must find the same neighbours"
        rows.append(
            {
                "n": n,
                "blocks_s": round(fast, 3),
                "full_matrix_s": round(slow, 3),
                "times_faster": round(slow / fast, 1),
                "product_s": round(found["product"][0], 3),
                "blocks_mib": round(small),
                "full_matrix_mib": round(large),
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_name("results.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
