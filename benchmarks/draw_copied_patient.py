"""A picture of memorized patients: samples of configs/nih_128.yaml beside the training images that they repeat.

    COPYLENS_DATA=... .venv/bin/snakemake --configfile configs/nih_128.yaml --cores 2
    .venv/bin/python benchmarks/draw_copied_patient.py results docs/copied_patient.png

Of the samples that the matched rule calls copies, ordered by similarity, the most similar one and those at a half and
at the end of the list, each of another patient. NIH ChestX-ray14 (Wang et al. 2017) may be shown; other images
may not.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.jobs.files import read_array, read_arrays
from copylens.reporting.page import QUIET, ROLES, blank_page, house_style, paper, show, write

DATASET, RUN, STUDY = "nih_chestxray", "ldm/base/seed0", "chest_128"
SIDE, GAP, APART, TOP, BOTTOM = 1.5, 0.06, 0.24, 0.3, 0.28  # inches


def pairs(results: Path) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """(sample, training image, similarity) of three copies."""
    arrays = read_arrays(results / "similarity" / DATASET / "copylens" / RUN / "nearest.npz")
    similarity = arrays["synthetic_to_train_similarity"][-1, :, 0]
    row = arrays["synthetic_to_train_index"][-1, :, 0]
    tau = pd.read_csv(results / "scores" / f"{STUDY}.csv").query("rule == 'matched'")["tau"].item()
    order = np.argsort(-similarity, kind="stable")
    order = order[similarity[order] > tau]
    _, first = np.unique(row[order], return_index=True)
    order = order[np.sort(first)]
    samples = read_array(results / "samples" / DATASET / RUN / "images.npy")[-1]
    images = read_array(results / "data" / DATASET / "images.npy")
    shown = order[[0, len(order) // 2, -1]]
    print(f"{len(order)} patients are named; similarities {similarity[shown].round(2)}, threshold {tau:.2f}")
    return [(samples[number], images[row[number]], float(similarity[number])) for number in shown]


@house_style()
def draw(results: Path, path: Path) -> None:
    """Write the PNG."""
    width = 6 * SIDE + 3 * GAP + 2 * APART
    figure = blank_page(width, TOP + SIDE + BOTTOM)
    page = paper(figure)
    for number, (sample, image, similarity) in enumerate(pairs(results)):
        left = number * (2 * SIDE + GAP + APART)
        for place, (name, pixels) in enumerate((("synthetic", sample), ("training", image))):
            x = left + place * (SIDE + GAP)
            show(page, pixels, x, TOP, SIDE, SIDE, cmap="gray", vmin=0, vmax=1)
            label = "synthetic" if name == "synthetic" else "training patient"
            write(figure, x, TOP - 0.08, label, size=8, weight="bold", color=ROLES[name])
        write(figure, left, TOP + SIDE + 0.17, f"similarity {similarity:.1f}", size=7, color=QUIET)
    figure.savefig(path, dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
