"""The table of a study's rates: one row per network, detector and rule."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.calibration import RATES, Maxima, Patients, score
from copylens.files import read_arrays, read_table, write_table
from copylens.similarity import embedding_sets

RUN_COLUMNS = ("dataset", "model", "kind", "variant", "seed", "epoch", "detector")
COUNT_COLUMNS = ("n_train", "n_calibration", "n_synthetic", "n_released")


def score_copies(runs: list[dict], paths: list[dict[str, Path]], draws: int, seed: int, scores_path: Path) -> None:
    """Write the score table: run columns, rule, counts, and for each rate its value, `_low` and `_high`.

    runs: dataset, model, kind, variant, seed, epoch and detector of each comparison. paths: for each of them the files
    nearest, scans and synthetic and reconstructed (embeddings), splits, training_rows and losses.
    """
    rows = []
    for run, files in zip(runs, paths, strict=True):
        epoch = epoch_number(run["epoch"], files["losses"])
        for rule, rates, counts in score_run(files, draws, seed):
            rows.append({**run, "epoch": epoch, "rule": rule, **counts, **rates})
    rate_columns = [f"{rate}{suffix}" for rate in RATES for suffix in ("", "_low", "_high")]
    columns = [*RUN_COLUMNS, "rule", *COUNT_COLUMNS, *rate_columns]
    write_table(pd.DataFrame(rows, columns=columns), scores_path)


def score_run(files: dict[str, Path], draws: int, seed: int) -> list[tuple[str, dict, dict]]:
    """(rule, rates, counts) of one comparison, for both rules."""
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
    rates = score(maxima, Patients(**numbers), sets, draws, seed)
    counts = {
        "n_train": len(sets["train"]),
        "n_calibration": len(sets["calibration"]),
        "n_synthetic": len(sets["synthetic"]),
        # As many samples as the matched rule's memorized images refer to.
        "n_released": min(len(sets["calibration"]), len(sets["synthetic"])),
    }
    return [(rule, values, counts) for rule, values in rates.items()]


def epoch_number(name: str, losses: Path) -> int:
    """How many passes over T a state has seen: `epoch00050`, or `last` of a training, or of nothing that is trained."""
    if name != "last":
        return int(name.removeprefix("epoch"))
    seen = read_table(losses)["epoch"]
    return int(seen.max()) if len(seen) else 0
