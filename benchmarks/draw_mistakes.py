"""A picture of a detector's mistakes among planted copies: those that it misses, and control images that it calls.

    COPYLENS_DATA=... .venv/bin/snakemake study_families --configfile configs/families_nih.yaml --cores 2
    .venv/bin/python benchmarks/draw_mistakes.py results nih_split_10 copylens docs/mistakes.png

Of each change the missed copy that is furthest below the threshold, and the control image that is furthest above it;
the worst changes first. Each image stands above what it was made of, and above the training image that the detector
finds nearest. NIH ChestX-ray14 (Wang et al. 2017) may be shown; other images may not.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from copylens.data.splits import rows_of
from copylens.detection.embed import Embedder
from copylens.detection.nearest import Comparer, all_of
from copylens.jobs.files import read_array, read_arrays, read_table
from copylens.reporting.page import INK, QUIET, ROLES, blank_page, house_style, paper, show, write

MISSED, CALLED = 8, 4
SIDE, GAP, LEFT, TOP, BETWEEN = 0.9, 0.05, 0.95, 0.42, 0.35  # inches


class Mistake(NamedTuple):
    """One planted image: its change, its similarity over the threshold, and three images [*grid]."""

    transform: str
    ratio: float
    planted: np.ndarray
    source: np.ndarray
    nearest: np.ndarray


def mistakes(results: Path, dataset: str, detector: str) -> tuple[list[Mistake], list[Mistake]]:
    """Copies that are missed, and control images that are called."""
    folder = results / "detectors" / dataset / detector
    arrays, tau = read_arrays(folder / "planted.npz"), pd.read_csv(folder / "benchmark.csv")["tau"].iloc[0]
    ratio, is_copy = arrays["similarity"] / tau, arrays["is_copy"]
    missed, called = ratio[:, is_copy].min(axis=1), ratio[:, ~is_copy].max(axis=1)
    worst = {"missed": missed.argsort(kind="stable")[:MISSED], "called": (-called).argsort(kind="stable")[:CALLED]}
    chosen = [(number, np.where(is_copy, ratio[number], np.inf).argmin()) for number in worst["missed"]]
    chosen += [(number, np.where(is_copy, -np.inf, ratio[number]).argmax()) for number in worst["called"]]
    images, splits = (results / "data" / dataset / name for name in ("images.npy", "splits.tsv"))
    pixels, sources = read_array(images), read_table(results / "planted" / dataset / "sources.tsv")
    planted = np.stack([read_array(results / "planted" / dataset / "images.npy")[place] for place in chosen])
    rows = rows_of(read_table(splits), "train")
    real = all_of(pixels, read_array(results / "embeddings" / dataset / detector / "scans.npy"))
    nearest = Comparer(folder, real[rows]).nearest(all_of(planted, Embedder(folder)(planted)), 1)[1][:, 0]
    found = [
        Mistake(
            str(arrays["transform"][number]),
            ratio[number, image],
            query,
            pixels[sources["row"][image]],
            pixels[rows[best]],
        )
        for (number, image), query, best in zip(chosen, planted, nearest, strict=True)
    ]
    return found[: len(worst["missed"])], found[len(worst["missed"]) :]


@house_style()
def draw(results: Path, dataset: str, detector: str, path: Path) -> None:
    """Write the PNG."""
    groups = mistakes(results, dataset, detector)
    columns = sum(map(len, groups))
    figure = blank_page(LEFT + columns * (SIDE + GAP) + BETWEEN, TOP + 3 * (SIDE + GAP) + 0.2)
    page = paper(figure)
    lines = (("planted", "changed\nimage"), ("source", "made of"), ("nearest", "nearest\ntraining\nimage"))
    for line, (_, words) in enumerate(lines):
        color = ROLES["training"] if line == 2 else INK
        write(figure, 0, TOP + line * (SIDE + GAP) + SIDE / 2, words, size=8, weight="bold", color=color)
    x = LEFT
    for title, group in zip(("copies that are missed", "control images that are called"), groups, strict=True):
        write(figure, x, 0.12, title, size=8, weight="bold", color=INK)
        for mistake in group:
            family = mistake.transform.rpartition("_")[0]
            write(figure, x, 0.3, family.replace("_", " "), size=6.5, color=QUIET)
            for line, (name, _) in enumerate(lines):
                top = TOP + line * (SIDE + GAP)
                show(page, getattr(mistake, name), x, top, SIDE, SIDE, cmap="gray", vmin=0, vmax=1)
            write(figure, x, TOP + 3 * (SIDE + GAP) + 0.08, f"{mistake.ratio:.2f} \u03c4", size=6.5, color=QUIET)
            x += SIDE + GAP
        x += BETWEEN
    figure.savefig(path, dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
