"""A picture of memorized patients: samples of configs/nih_128.yaml above the training images that they repeat.

    COPYLENS_DATA=... .venv/bin/snakemake --configfile configs/nih_128.yaml --cores 2
    .venv/bin/python benchmarks/draw_copied_patients.py results docs/copied_patients.png

Of the samples that the matched rule calls copies, the most similar one of each patient, the eight most similar in
order. NIH ChestX-ray14 (Wang et al. 2017) may be shown; other images may not.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.jobs.files import read_array, read_arrays
from copylens.reporting.page import QUIET, ROLES, blank_page, house_style, paper, show, write

DATASET, RUN, STUDY = "nih_chestxray", "ldm/base/seed0", "chest_128"
SHOWN = 8
SIDE, GAP, LEFT, BOTTOM = 0.9, 0.05, 0.95, 0.2  # inches


def pairs(results: Path) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """(sample, training image, similarity) of the copies to show."""
    arrays = read_arrays(results / "similarity" / DATASET / "copylens" / RUN / "nearest.npz")
    similarity = arrays["synthetic_to_train_similarity"][-1, :, 0]
    row = arrays["synthetic_to_train_index"][-1, :, 0]
    scores = pd.read_csv(results / "scores" / f"{STUDY}.csv").query("rule == 'matched'").iloc[0]
    order = np.argsort(-similarity, kind="stable")
    order = order[similarity[order] > scores["tau"]]
    _, first = np.unique(row[order], return_index=True)
    order = order[np.sort(first)]
    print(f"{len(order)} patients are named; threshold {scores['tau']:.1f}")
    for rate in ("copies", "patients_memorized", "control_rate"):
        print(f"{rate}: {scores[rate]:.1%} ({scores[f'{rate}_low']:.1%} to {scores[f'{rate}_high']:.1%})")
    samples = read_array(results / "samples" / DATASET / RUN / "images.npy")[-1]
    images = read_array(results / "data" / DATASET / "images.npy")
    return [(samples[number], images[row[number]], float(similarity[number])) for number in order[:SHOWN]]


@house_style()
def draw(results: Path, path: Path) -> None:
    """Write the PNG."""
    figure = blank_page(LEFT + SHOWN * (SIDE + GAP), 2 * (SIDE + GAP) + BOTTOM)
    page = paper(figure)
    for line, (role, words) in enumerate((("synthetic", "synthetic"), ("training", "training\npatient"))):
        write(figure, 0, line * (SIDE + GAP) + SIDE / 2, words, size=8, weight="bold", color=ROLES[role])
    for column, (sample, image, similarity) in enumerate(pairs(results)):
        x = LEFT + column * (SIDE + GAP)
        for line, pixels in enumerate((sample, image)):
            show(page, pixels, x, line * (SIDE + GAP), SIDE, SIDE, cmap="gray", vmin=0, vmax=1)
        write(figure, x, 2 * (SIDE + GAP) + 0.12, f"{similarity:.0f}", size=7, color=QUIET)
    write(figure, 0, 2 * (SIDE + GAP) + 0.12, "similarity", size=7, color=QUIET)
    figure.savefig(path, dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
