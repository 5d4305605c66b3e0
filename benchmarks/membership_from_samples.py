"""Membership inference from samples alone, where the truth is known: how often it errs, and how small a leak it sees.

    .venv/bin/python benchmarks/membership_from_samples.py 50 ../shared/data/nih_chestxray

Arguments: runs of each row, and a folder of NIH ChestX-ray14 with one or more images of each patient. Writes
benchmarks/membership_from_samples.tsv, a row for each kind of images and of generator:

- drawn: smooth noise of 32 x 32 pixels, blurred by 2 pixels; 200 training, 100 calibration and 100 control patients,
  1,000 samples. In `correlated` each sample correlates by 0.15 with one training image.
- chest: NIH, 64 x 64, 120, 90 and 90 patients in a new draw for each run, 160 samples or as many others. In `mixed`
  each sample is the mean of a training image and of an image of somebody else, in `copies` a tenth repeat training
  images, `copycat` repeats nothing else. `gamma`, `blur`: a generator that never saw the training patients draws images
  of their scanner, and the held-out patients come from another one (gamma 1.3; blurred by a pixel).

Columns: auc, the mean area under the curve on control images; tpr_at_1fpr; above, the share of runs whose interval lies
above 0.5; covers, the share whose interval holds it; shifted, the share in which a classifier tells training from
held-out patients without the samples (lower end above 0.55); seconds of a run.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
from scipy import ndimage

from copylens.evaluation.membership import choose, scores, separation, whiten
from copylens.evaluation.shift import shift

LEVEL, OTHER_KIND = 0.95, 0.55
DRAWN = {"train": 200, "calibration": 100, "control": 100}
CHEST = {"train": 120, "calibration": 90, "control": 90}
CORRELATION, BLUR, SIDE = 0.15, 2.0, 32
RESULT = Path(__file__).with_suffix(".tsv")


def drawn(seed: int, leak: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images of T, V and H, and samples, in [0, 1]."""
    generator = np.random.default_rng(seed)

    def images(n: int) -> np.ndarray:
        smooth = ndimage.gaussian_filter(generator.normal(size=(n, SIDE, SIDE)), (0, BLUR, BLUR), mode="wrap")
        return smooth / smooth.std(axis=(1, 2), keepdims=True)

    sets = {name: images(n) for name, n in DRAWN.items()}
    samples = images(1000)
    if leak == "correlated":
        near = sets["train"][np.arange(len(samples)) % DRAWN["train"]]
        samples = CORRELATION * near + np.sqrt(1 - CORRELATION**2) * samples
    return {name: (some + 6) / 12 for name, some in sets.items()}, (samples + 6) / 12


def chest(images: np.ndarray, seed: int, leak: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same of NIH patients, drawn without replacement."""
    order, sets, start = np.random.default_rng(seed).permutation(len(images)), {}, 0
    for name, n in CHEST.items():
        sets[name] = images[order[start : start + n]]
        start += n
    samples = images[order[start:]]
    training = sets["train"][np.arange(len(samples)) % CHEST["train"]]
    if leak == "mixed":
        samples = (samples + training) / 2
    elif leak == "copies":
        samples = np.concatenate([training[: len(samples) // 10], samples[len(samples) // 10 :]])
    elif leak == "copycat":
        samples = training
    elif leak in ("gamma", "blur"):
        for name in ("calibration", "control"):
            sets[name] = sets[name] ** 1.3 if leak == "gamma" else ndimage.gaussian_filter(sets[name], (0, 1, 1))
    return sets, samples


def run(sets: dict[str, np.ndarray], samples: np.ndarray, seed: int) -> dict[str, float]:
    start = time.perf_counter()
    flat = {name: some.reshape(len(some), -1) for name, some in sets.items()}
    whitened = whiten(samples.reshape(len(samples), -1), flat)
    patients = {name: np.arange(len(some)) for name, some in sets.items()}
    attack = choose(whitened, patients)
    found = [scores(attack, whitened[name], whitened["synthetic"], whitened["calibration"]) for name in sets]
    row = separation(found[0], found[2], (patients["train"], patients["control"]), LEVEL, seed)
    held_out = np.concatenate([sets["calibration"], sets["control"]])
    told = shift(sets["train"], held_out, (patients["train"], np.arange(len(held_out))), LEVEL)
    return {
        "auc": row["auc"],
        "tpr_at_1fpr": row["tpr_at_1fpr"],
        "above": row["auc_low"] > 0.5,
        "covers": row["auc_low"] <= 0.5 <= row["auc_high"],
        "shifted": told["auc_low"] > OTHER_KIND,
        "seconds": time.perf_counter() - start,
    }


def of_patients(data: Path) -> np.ndarray:
    """The first image of each patient, float [patient, 64, 64] in [0, 1]."""
    first: dict[str, Path] = {}
    for path in sorted(data.rglob("*.png")):
        first.setdefault(path.name.split("_")[0], path)
    small = [PIL.Image.open(path).convert("L").resize((64, 64), PIL.Image.Resampling.BOX) for path in first.values()]
    images = np.stack([np.asarray(image, np.float32) for image in small])
    images -= images.min(axis=(1, 2), keepdims=True)
    return images / images.max(axis=(1, 2), keepdims=True)


def main(n: int, data: Path) -> None:
    images, rows = of_patients(data), []
    for kind, generators in (
        ("drawn", ("never saw them", "correlated")),
        ("chest", ("never saw them", "copies", "mixed", "copycat", "gamma", "blur")),
    ):
        for leak in generators:
            made = [drawn(seed, leak) if kind == "drawn" else chest(images, seed, leak) for seed in range(n)]
            found = pd.DataFrame([run(*one, seed) for seed, one in enumerate(made)]).mean()
            rows.append({"images": kind, "generator": leak, "runs": n, **found.round(3)})
            print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(RESULT, sep="\t", index=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
