"""Cost of turning queries to the training images' orientation before comparison: seconds with it over those without.

    OMP_NUM_THREADS=1 python benchmarks/orientation_cost.py 160 100

Arguments: numbers of training images and of queries, drawn chest X-rays of 64 x 64 and knees of 32 x 32 x 32.
Writes benchmarks/orientation_cost.tsv: a row per detector and anatomy. Each ratio is the median of three, in turn with
and without, in one process. Needs idle cores.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config import schema
from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.jobs.files import read_array, write_array, write_table
from copylens.jobs.workdir import Unfinished

SIZES = {"xray": 64, "mr": 32}
REPEATS = 3


def drawn(anatomy: str, n: int) -> np.ndarray:
    settings = {
        "anatomy": anatomy,
        "size": SIZES[anatomy],
        "noise": 0.02,
        "seed": 0,
        "n_patients": n,
        "repeat_share": 0.0,
    }
    scans = phantom.list_scans(Path(), settings)
    return np.stack([scale(phantom.load(Path(), scan, settings).pixels, {"kind": "minmax"}) for scan in scans])


def seconds(comparer: Comparer, queries, k: int) -> float:
    start = time.perf_counter()
    comparer.nearest(queries, k)
    return time.perf_counter() - start


def main(n_training: int, n_queries: int) -> None:
    rows = []
    for anatomy in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_array(drawn(anatomy, n_training + n_queries), folder / "images.npy")
            roles = np.repeat(["train", "calibration"], [n_training, n_queries])
            splits = pd.DataFrame({"scan": range(len(roles)), "patient": range(len(roles)), "role": roles})
            write_table(splits, folder / "splits.tsv")
            for kind in ("copylens", "aligned_correlation"):
                settings, detector = {"kind": kind}, folder / kind
                schema.validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
                k = settings.pop("neighbours")
                files = {"images": folder / "images.npy", "splits": folder / "splits.tsv"}
                train_detector(settings, files, detector, Unfinished(folder / "work"))
                embed_file(
                    Embedder(detector), folder / "images.npy", detector / "scans.npy", Unfinished(folder / "embedding")
                )
                images = all_of(read_array(folder / "images.npy"), read_array(detector / "scans.npy"))
                training, queries = images[np.arange(n_training)], images[np.arange(n_training, len(roles))]
                laid, as_they_lie = Comparer(detector, training), Comparer(detector, training)
                as_they_lie.spec["lay"] = False
                ratios = []
                for _ in range(REPEATS):
                    without, with_it = seconds(as_they_lie, queries, k), seconds(laid, queries, k)
                    ratios.append(with_it / without)
                row = {"anatomy": anatomy, "detector": kind, "training": n_training, "queries": n_queries}
                rows.append(
                    row
                    | {"ratio": round(float(np.median(ratios)), 3), "ms_a_query": round(1000 * with_it / n_queries, 1)}
                )
                print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
