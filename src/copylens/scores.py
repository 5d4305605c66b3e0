"""The table of a study's rates: one row per network, detector and rule."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.calibration import RATES, Maxima, Patients, score
from copylens.files import read_arrays, read_table, read_yaml, write_table
from copylens.similarity import embedding_sets

RUN_COLUMNS = ("dataset", "model", "kind", "variant", "seed", "epoch", "detector")
COUNT_COLUMNS = ("n_train", "n_patients", "n_calibration", "n_synthetic", "n_released")


def score_copies(
    runs: list[dict], paths: list[dict[str, Path]], draws: int, seed: int, scores_path: Path, exposure_path: Path
) -> None:
    """Write the score table: run columns, rule, counts, and for each rate its value, `_low` and `_high`.

    And the exposure table: run columns, n_patients, n_released, exposed and its `_low` and `_high`.

    runs: dataset, model, kind, variant, seed and detector of each comparison; each of its network's states has a row.
    paths: for each of them the files nearest, scans and synthetic and reconstructed (embeddings), splits,
    training_rows and spec.
    """
    rows, curves = [], []
    for run, files in zip(runs, paths, strict=True):
        for epoch, (rules, counts, curve) in zip(
            read_yaml(files["spec"])["epochs"], score_run(files, draws, seed), strict=True
        ):
            named = {**run, "epoch": epoch}
            rows += [{**named, "rule": rule, **counts, **rates} for rule, rates in rules.items()]
            curves += [{**named, "n_patients": counts["n_patients"], **point} for point in curve]
    rate_columns = [f"{rate}{suffix}" for rate in RATES for suffix in ("", "_low", "_high")]
    columns = [*RUN_COLUMNS, "rule", *COUNT_COLUMNS, *rate_columns]
    write_table(pd.DataFrame(rows, columns=columns), scores_path)
    exposed = ["n_patients", "n_released", "exposed", "exposed_low", "exposed_high"]
    write_table(pd.DataFrame(curves, columns=[*RUN_COLUMNS, *exposed]), exposure_path)


def score_run(files: dict[str, Path], draws: int, seed: int) -> Iterator[tuple[dict[str, dict], dict, list[dict]]]:
    """({rule: rates}, counts, exposure curve) of each state of one comparison."""
    sets, rows = embedding_sets(
        files["scans"], files["synthetic"], files["reconstructed"], files["splits"], files["training_rows"]
    )
    arrays = read_arrays(files["nearest"])
    patient_of = read_table(files["splits"])["patient"].to_numpy()
    numbers = {
        name: np.unique(patient_of[rows[name]], return_inverse=True)[1] for name in Patients.__dataclass_fields__
    }
    none = np.empty((0, 1), np.float32)
    correlations = {name: arrays.get(f"{name}_correlation", none) for name in Maxima.__dataclass_fields__}
    for state, synthetic in enumerate(sets["synthetic"]):
        of_state = {name: array[state] if "synthetic" in name else array for name, array in correlations.items()}
        maxima = Maxima(**{name: array[:, 0] for name, array in of_state.items()})
        rules, curve = score(maxima, Patients(**numbers), {**sets, "synthetic": synthetic}, draws, seed)
        counts = {
            "n_train": len(sets["train"]),
            "n_patients": int(numbers["train"].max()) + 1,
            "n_calibration": len(sets["calibration"]),
            "n_synthetic": len(synthetic),
            # As many samples as the matched rule's memorized images refer to.
            "n_released": min(len(sets["calibration"]), len(synthetic)),
        }
        yield rules, counts, curve
