"""Coverage of the intervals of a study's rates, on simulated images with known copies.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py 128 2026

Arguments: the number of studies simulated for each cell, and the seed. Where one of a cell's coverages is below 93 %,
which so few studies give by chance as well, four times as many others take their place.

An image is a point of 16 coordinates, similarity is correlation. T, V and H (training, calibration, control) have n
patients each, with one or three images that correlate 0.9; S has as many samples as T has images. Each is a copy of a
memorized patient's image with the probability `true_share`, which is also the share of T's patients that are memorized
(at least one of them, unless it is 0). The other samples are images of new patients (`like_patients`), or unlike any
patient and never called.

Writes benchmarks/interval_coverage.tsv, a row per cell, rule and rate: `expected`, the rate's mean over the cell's
studies, which a study's interval is for; `coverage`, the share of intervals that hold it; `width`, their mean width.
Where the rate with a threshold known without error can be written down, it is `ideal`, and `coverage_of_ideal` is the
share of intervals that hold that: of copies the true share and 5 % of the rest, of control images 5 %, of memorized
images 5 % where nothing is copied.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.detection.search import nearest
from copylens.evaluation.neighbours import Neighbours
from copylens.evaluation.thresholds import RATES, Patients, score
from copylens.imaging.correlation import standardise_array

SCORED = [rate for rate in RATES if not rate.startswith("tau") and rate != "control_rate_decoded"]  # none has a decoder
WIDTH, ALIKE, NOISE, NEIGHBOURS, DRAWS = 16, 0.9, 0.1, 20, 100
AGAIN_BELOW = 0.93


def images(generator: np.random.Generator, n: int, of_each: int) -> np.ndarray:
    """`of_each` images of each of `n` patients, float32 [image, WIDTH], a patient's next to each other."""
    patients = generator.normal(size=(n, WIDTH)).repeat(of_each, axis=0)
    return standardise_array(ALIKE**0.5 * patients + (1 - ALIKE) ** 0.5 * generator.normal(size=patients.shape))


def simulate(
    generator: np.random.Generator, n: int, of_each: int, share: float, like_patients: bool
) -> tuple[dict[str, Neighbours], Patients]:
    """One study: nearest training images by set, and the patients."""
    training, calibration, control = (images(generator, n, of_each) for _ in range(3))
    samples = images(generator, n * of_each, 1)
    memorized = np.flatnonzero(generator.random(n) < share)
    if share > 0 and not len(memorized):
        memorized = generator.integers(n, size=1)
    is_copy = generator.random(len(samples)) < share
    if is_copy.any():
        sources = of_each * generator.choice(memorized, is_copy.sum()) + generator.integers(of_each, size=is_copy.sum())
        scale = WIDTH**0.5  # of standardised images, to coordinates of variance 1
        noise = NOISE * generator.normal(size=(is_copy.sum(), WIDTH))
        samples[is_copy] = standardise_array(scale * training[sources] + noise)
    sets = {"synthetic": samples, "calibration": calibration, "control": control}
    sets |= {f"{name}_decoded": training[:0] for name in ("calibration", "control")}
    lists = {name: nearest(queries, training, min(NEIGHBOURS, len(training))) for name, queries in sets.items()}
    if not like_patients:
        lists["synthetic"][0][~is_copy] = -1
    floor = float(min(similarity.min(initial=1) for similarity, _ in lists.values()))
    of_image = np.repeat(np.arange(n), of_each)
    return {name: Neighbours(*each, floor) for name, each in lists.items()}, Patients(of_image, of_image, of_image)


def ideal(rate: str, share: float, like_patients: bool) -> float:
    """The rate of the matched rule with a threshold known without error, NaN where it can't be written down."""
    if rate == "control_rate":
        return 0.05
    chance = 0.05 if like_patients else 0.0
    if rate == "copies":
        return share + (1 - share) * chance
    return chance if share == 0 else np.nan


def measure(cell: tuple[int, int, float, bool], repeats: int, seed: int) -> list[dict]:
    """The rows of one cell."""
    n, of_each, share, like_patients = cell
    rules = []
    for repeat in range(repeats):
        generator = np.random.default_rng([seed, n, of_each, round(100 * share), like_patients, repeat])
        rules.append(score(*simulate(generator, *cell), DRAWS, repeat)[0])
    rows = []
    for rule, rate in itertools.product(("matched", "paper"), SCORED):
        value, low, high = (np.array([each[rule][f"{rate}{end}"] for each in rules]) for end in ("", "_low", "_high"))
        row = {"n": n, "images_per_patient": of_each, "true_share": share, "like_patients": like_patients}
        row |= {"rule": rule, "rate": rate, "studies": repeats, "expected": value.mean()}
        row |= {"coverage": np.mean((low <= value.mean()) & (value.mean() <= high)), "width": (high - low).mean()}
        meant = ideal(rate, share, like_patients) if rule == "matched" else np.nan
        row |= {
            "ideal": meant,
            "coverage_of_ideal": np.nan if np.isnan(meant) else np.mean((low <= meant) & (meant <= high)),
        }
        rows.append(row)
    return rows


def main(repeats: int, seed: int) -> None:
    cells = list(itertools.product((40, 100, 400), (1, 3), (0.0, 0.01, 0.05, 0.2, 0.5), (True, False)))
    rows = []
    for cell in cells:
        of_cell = measure(cell, repeats, seed)
        if min(row["coverage"] for row in of_cell) < AGAIN_BELOW:
            of_cell = measure(cell, 4 * repeats, seed + 1)
        rows += of_cell
        table = pd.DataFrame(rows)
        table.to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False, float_format="%.4g")
        print(*cell, flush=True)
    print(table.groupby(["rule", "rate"])[["coverage", "coverage_of_ideal"]].min())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
