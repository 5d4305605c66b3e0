"""The table of a study's rates: one row per network, detector and rule."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.columns import RUN
from copylens.data.splits import rows_of
from copylens.evaluation.neighbours import neighbours_of
from copylens.evaluation.prevalence import highest_false_positive_rate
from copylens.evaluation.thresholds import RATES, Patients, score
from copylens.jobs.files import read_arrays, read_table, read_yaml, write_table

COUNT_COLUMNS = (
    "n_train",
    "n_patients",
    "n_calibration",
    "n_calibration_patients",
    "n_control",
    "n_synthetic",
    "n_released",
)
WARN_ABOVE = 0.15  # of the highest false positive rate that the number of calibration patients allows


def score_copies(
    runs: list[dict], paths: list[dict[str, Path]], draws: int, seed: int, scores_path: Path, exposure_path: Path
) -> None:
    """Write the score table: run columns, rule, counts, and for each rate its value, `_low` and `_high`.

    Write also the exposure table: run columns, n_patients, n_released, exposed and its `_low` and `_high`.

    runs: dataset, model, kind, variant, seed and detector of each comparison; each of its network's states has a row.
    paths: for each of them the files nearest, splits, training_rows and spec.
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
    columns = [*RUN, "rule", *COUNT_COLUMNS, *rate_columns]
    write_table(pd.DataFrame(rows, columns=columns), scores_path)
    exposed = ["n_patients", "n_released", "exposed", "exposed_low", "exposed_high"]
    write_table(pd.DataFrame(curves, columns=[*RUN, *exposed]), exposure_path)


def score_run(files: dict[str, Path], draws: int, seed: int) -> Iterator[tuple[dict[str, dict], dict, list[dict]]]:
    """({rule: rates}, counts, exposure curve) of each state of one comparison."""
    arrays, splits = read_arrays(files["nearest"]), read_table(files["splits"])
    training_rows = read_table(files["training_rows"])["row"].to_numpy()
    patient_of = splits["patient"].to_numpy()
    rows = {"train": training_rows, **{name: rows_of(splits, name) for name in ("calibration", "control")}}
    patients = Patients(
        **{name: np.unique(patient_of[of_set], return_inverse=True)[1] for name, of_set in rows.items()}
    )
    possible = highest_false_positive_rate(int(patients.calibration.max()) + 1)
    if possible > WARN_ABOVE:
        print(
            f"warning: with {patients.calibration.max() + 1} calibration patients the threshold may call up to "
            f"{possible:.0%} of new patients' images copies; more calibration patients lower this bound",
            flush=True,
        )
    for state in range(len(arrays["synthetic_to_train_index"])):
        neighbours = neighbours_of(arrays, training_rows, state)
        rules, curve = score(neighbours, patients, draws, seed)
        n_calibration_patients, n_synthetic = int(patients.calibration.max()) + 1, len(neighbours["synthetic"])
        counts = {
            "n_train": len(training_rows),
            "n_patients": int(patients.train.max()) + 1,
            "n_calibration": len(neighbours["calibration"]),
            "n_calibration_patients": n_calibration_patients,
            "n_control": int(patients.control.max()) + 1,
            "n_synthetic": n_synthetic,
            # The number of samples in the matched rule's `memorized`.
            "n_released": min(n_calibration_patients, n_synthetic),
        }
        yield rules, counts, curve
