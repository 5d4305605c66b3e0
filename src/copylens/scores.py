"""The table of a study's rates: one row per network, detector and rule."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.calibration import RATES, Maxima, Patients, score
from copylens.epochs import number_of
from copylens.files import read_arrays, read_table, write_table
from copylens.similarity import embedding_sets

RUN_COLUMNS = ("dataset", "model", "kind", "variant", "seed", "epoch", "detector")
COUNT_COLUMNS = ("n_train", "n_patients", "n_calibration", "n_synthetic", "n_released")


def score_copies(
    runs: list[dict], paths: list[dict[str, Path]], draws: int, seed: int, scores_path: Path, exposure_path: Path
) -> None:
    """Write the score table: run columns, rule, counts, and for each rate its value, `_low` and `_high`.

    And the exposure table: run columns, n_patients, n_released, exposed and its `_low` and `_high`.

    runs: dataset, model, kind, variant, seed, epoch and detector of each comparison. paths: for each of them the files
    nearest, scans and synthetic and reconstructed (embeddings), splits, training_rows and losses.
    """
    rows, curves = [], []
    for run, files in zip(runs, paths, strict=True):
        epoch = number_of(run["epoch"], files["losses"])
        named = {**run, "epoch": epoch}
        rules, counts, curve = score_run(files, draws, seed)
        rows += [{**named, "rule": rule, **counts, **rates} for rule, rates in rules.items()]
        curves += [{**named, "n_patients": counts["n_patients"], **point} for point in curve]
    rate_columns = [f"{rate}{suffix}" for rate in RATES for suffix in ("", "_low", "_high")]
    columns = [*RUN_COLUMNS, "rule", *COUNT_COLUMNS, *rate_columns]
    write_table(pd.DataFrame(rows, columns=columns), scores_path)
    exposed = ["n_patients", "n_released", "exposed", "exposed_low", "exposed_high"]
    write_table(pd.DataFrame(curves, columns=[*RUN_COLUMNS, *exposed]), exposure_path)


def score_run(files: dict[str, Path], draws: int, seed: int) -> tuple[dict[str, dict], dict, list[dict]]:
    """({rule: rates}, counts, exposure curve) of one comparison."""
    sets, rows = embedding_sets(
        files["scans"], files["synthetic"], files["reconstructed"], files["splits"], files["training_rows"]
    )
    arrays = read_arrays(files["nearest"])
    none = np.empty((0, 1), np.float32)
    names = Maxima.__dataclass_fields__
    maxima = Maxima(**{name: arrays.get(f"{name}_correlation", none)[:, 0] for name in names})
    patient_of = read_table(files["splits"])["patient"].to_numpy()
    numbers = {
        name: np.unique(patient_of[rows[name]], return_inverse=True)[1] for name in Patients.__dataclass_fields__
    }
    rules, curve = score(maxima, Patients(**numbers), sets, draws, seed)
    counts = {
        "n_train": len(sets["train"]),
        "n_patients": int(numbers["train"].max()) + 1,
        "n_calibration": len(sets["calibration"]),
        "n_synthetic": len(sets["synthetic"]),
        # As many samples as the matched rule's memorized images refer to.
        "n_released": min(len(sets["calibration"]), len(sets["synthetic"])),
    }
    return rules, counts, curve
