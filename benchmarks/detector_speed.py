"""How long `copylens` searches, in this checkout and in another one, on the same drawn images.

    OMP_NUM_THREADS=1 python benchmarks/detector_speed.py ../before 200,10000 80

Arguments: a checkout of another commit; numbers of training images in 2D (chest X-rays of 64 x 64) and in 3D (knees
of 24 x 32 x 24). Writes benchmarks/detector_speed.tsv, a row per number: milliseconds of a thread per query here and
there, medians of three, in turn, each in a process of its own, and their ratio. Half of the queries are moved
training images. Needs idle cores.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from orientation_cost import SIZES, drawn

from copylens.evaluation import families
from copylens.jobs.files import write_array, write_table

HERE = Path(__file__).parents[1]
N_QUERIES, REPEATS = 64, 3
WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.jobs.files import read_array
from copylens.jobs.workdir import Unfinished
from copylens.config import schema
folder, n = Path(sys.argv[1]), int(sys.argv[2])
detector = Path(sys.argv[3])
settings = {"kind": "copylens"}
schema.validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
files = {"images": folder / "images.npy", "splits": folder / "splits.tsv"}
train_detector(settings, files, detector, Unfinished(detector / "work"))
embed_file(Embedder(detector), folder / "images.npy", detector / "scans.npy", Unfinished(detector / "work"))
real = all_of(read_array(folder / "images.npy"), read_array(detector / "scans.npy"))
comparer = Comparer(detector, real[np.arange(n)])
queries = np.arange(n, len(real))
comparer.nearest(real[queries[:1]], 20)
start = time.process_time()
comparer.nearest(real[queries], 20)
print(1000 * (time.process_time() - start) / len(queries))
"""


def write_images(anatomy: str, n: int, folder: Path) -> None:
    """Training images, then queries, half of them moved training images."""
    images = drawn(anatomy, n + N_QUERIES // 2).astype(np.float32)
    if anatomy == "mr":
        images = images[:, 4:28, :, 4:28]
    moved = torch.from_numpy(images[: N_QUERIES // 2])[:, None]
    moved = families.apply("turn", 0.5, moved, moved, torch.Generator().manual_seed(0))[:, 0].numpy()
    write_array(np.concatenate([images, moved]), folder / "images.npy")
    roles = np.repeat(["train", "calibration"], [n, N_QUERIES])
    numbers = range(len(roles))
    write_table(pd.DataFrame({"scan": numbers, "patient": numbers, "role": roles}), folder / "splits.tsv")


def milliseconds(checkout: Path, images: Path, n: int) -> float:
    with tempfile.TemporaryDirectory() as detector:
        command = [sys.executable, "-c", WORKER, str(images), str(n), detector]
        environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
        found = subprocess.run(command, env=environment, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(found.stderr)
    return float(found.stdout.splitlines()[-1])


def main(before: Path, sizes: dict[str, list[int]]) -> None:
    rows = []
    for anatomy, numbers in sizes.items():
        for n in numbers:
            with tempfile.TemporaryDirectory() as name:
                write_images(anatomy, n, Path(name))
                times = [[milliseconds(root, Path(name), n) for root in (HERE, before)] for _ in range(REPEATS)]
            here, there = np.median(times, axis=0).tolist()
            rows.append({"anatomy": anatomy, "training": n, "ms": round(here, 1), "ms_before": round(there, 1)})
            rows[-1]["ratio"] = round(here / there, 3)
            print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)


if __name__ == "__main__":
    numbers = [[int(n) for n in argument.split(",")] for argument in sys.argv[2:4]]
    main(Path(sys.argv[1]).resolve(), dict(zip(SIZES, numbers, strict=True)))
