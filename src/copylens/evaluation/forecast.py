"""The step at which a training begins to memorize, foretold from trainings on fewer images.

Bonnaire et al. 2025, arXiv 2505.17638: a diffusion model learns what images have in common in a time that hardly
depends on their number n, and begins to learn single ones after a time proportional to n. At the same batch size, so
are the steps.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.columns import NETWORK, RISE
from copylens.jobs.files import read_table, read_yaml, write_table

LENGTH = ("steps", "snapshots", "checkpoint_every")


def forecast_memorization(runs: list[dict], paths: list[dict[str, Path]], path: Path) -> None:
    """Write the table, a row for each network whose training watched the gap of denoising losses (`training.stop`).

    dataset, model, variant, seed; n_train (images); rise, the limit; begins, the step at which the gap had risen so far
    (NaN if it never did); forecast, that step as foretold from networks of the study with fewer training images, on the
    same data set and with the same settings but for the training's length (NaN without any).

    runs: dataset, model, variant and seed of each network. paths: for each of them the files losses, training_rows,
    spec.
    """
    rows = []
    for run, files in zip(runs, paths, strict=True):
        losses, settings = read_table(files["losses"]), read_yaml(files["spec"])["settings"]
        stop = settings.get("training", {}).get("stop")
        if stop:
            found = {
                "n_train": len(read_table(files["training_rows"])),
                "rise": stop["rise"],
                "alike": _alike(settings),
            }
            rises = losses[losses["name"] == RISE]
            rows.append({key: run[key] for key in NETWORK} | found | {"begins": begins(rises, stop["rise"])})
    table = pd.DataFrame(rows, columns=[*NETWORK, "n_train", "rise", "alike", "begins"])
    foretold = [forecast(_smaller(table, row), row.n_train) for row in table.itertuples()]
    write_table(table.drop(columns="alike").assign(forecast=foretold), path)


def begins(rises: pd.DataFrame, limit: float) -> float:
    """The step at which the rise first passes the limit, between measurements on a straight line; NaN if it never does.

    rises: columns step, value, by ascending step.
    """
    steps, values = (np.array([0.0, *rises[name]]) for name in ("step", "value"))
    if not (values > limit).any():
        return float("nan")
    after = int((values > limit).argmax())
    share = (limit - values[after - 1]) / (values[after] - values[after - 1])
    return float(steps[after - 1] + share * (steps[after] - steps[after - 1]))


def forecast(smaller: pd.DataFrame, n_train: int) -> float:
    """The step foretold for `n_train` images: n_train times the geometric mean of step / images; NaN without any.

    smaller: columns n_train, begins.
    """
    known = smaller.dropna(subset=["begins"])
    if not len(known):
        return float("nan")
    return float(n_train * np.exp(np.log(known["begins"] / known["n_train"]).mean()))


def _smaller(table: pd.DataFrame, row) -> pd.DataFrame:
    same = (table["dataset"] == row.dataset) & (table["alike"] == row.alike)
    return table[same & (table["n_train"] < row.n_train)]


def _alike(settings: dict) -> str:
    """What trainings share that are compared: all settings but the number of images and the training's length."""
    training = {key: value for key, value in settings["training"].items() if key not in LENGTH}
    return json.dumps(settings | {"n_train": None, "training": training}, sort_keys=True)
