"""What attacks on the samples need: real images and samples on the samples' own scale, and images of both kinds.

T are the training images, V calibration, H control, S synthetic ones.
"""

import math
from pathlib import Path

import numpy as np

from copylens.auditing.findings import HELD_OUT
from copylens.data.splits import rows_of
from copylens.evaluation.halves import whitened_halves
from copylens.evaluation.membership import LEAST, Attack, scores, whiten
from copylens.evaluation.shift import LEAST as PATIENTS
from copylens.evaluation.shift import shift_scores
from copylens.jobs.files import read_array, read_table, write_arrays
from copylens.jobs.job import timed

REAL = ("train", *HELD_OUT)
PARTS = ("whole", "first", "second")  # halves


def measure_attacks(images_path: Path, splits_path: Path, synthetic_path: Path, path: Path) -> None:
    """Write the images of `REAL` and the samples, whitened (`copylens.evaluation.membership`), and scores of shift.

    `<set>_whole`, `<set>_first` and `<set>_second` (halves), float32 [image, component], of each set and of synthetic;
    no rows for fewer than `LEAST` samples. Two attacks without any sample, whose scores are float32 [image]:
    train_shift and held_out_shift (V, then H), of a classifier, no rows for too few patients; train_unseen and
    control_unseen, of nearness to V's images in the place of samples, no rows for too few of them.
    """
    splits, images = read_table(splits_path), read_array(images_path)
    samples = np.asarray(read_array(synthetic_path), np.float32)
    rows = {name: rows_of(splits, name) for name in REAL}
    real = {name: np.asarray(images[of], np.float32) for name, of in rows.items()}
    with timed("membership"):
        arrays = _whitened(real, samples)
    with timed("shift"):
        patients = np.unique(splits["patient"], return_inverse=True)[1]
        held_out = np.concatenate([rows[name] for name in HELD_OUT])
        of_sides = patients[rows["train"]], patients[held_out]
        sides = real["train"], np.concatenate([real[name] for name in HELD_OUT])
        told = (np.empty(0, np.float32),) * 2
        if min(len(np.unique(side)) for side in of_sides) >= PATIENTS:
            told = shift_scores(*sides, of_sides)
        arrays |= dict(zip(("train_shift", "held_out_shift"), told, strict=True)) | _unseen(real)
    write_arrays(arrays, path)


def _unseen(real: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if len(real["calibration"]) < LEAST:
        return {"train_unseen": np.empty(0, np.float32), "control_unseen": np.empty(0, np.float32)}
    flat = {name: of.reshape(len(of), -1) for name, of in real.items()}
    whole = whiten(flat["calibration"], {name: flat[name] for name in ("train", "control")})
    v = whole["synthetic"]
    nearest = Attack(v.shape[1], math.inf, relative=False)
    return {f"{name}_unseen": scores(nearest, whole[name], v, v).astype(np.float32) for name in ("train", "control")}


def _whitened(real: dict[str, np.ndarray], samples: np.ndarray) -> dict[str, np.ndarray]:
    if len(samples) < LEAST:
        return {f"{name}_{part}": np.empty((0, 0), np.float32) for name in (*REAL, "synthetic") for part in PARTS}
    whole = whiten(samples.reshape(len(samples), -1), {name: of.reshape(len(of), -1) for name, of in real.items()})
    arrays = {f"{name}_whole": of for name, of in whole.items()}
    for name, halves in whitened_halves(samples, real).items():
        arrays |= {f"{name}_{part}": half for part, half in zip(PARTS[1:], halves, strict=True)}
    return arrays
