"""The table of a study's mitigations: the verdict on each network beside the quality of its images and its cost."""

import json
from pathlib import Path

import pandas as pd

from copylens.config.columns import STATE
from copylens.jobs.files import read_table, read_yaml, write_table

# Lines of a verdict, by the columns that they fill: the value, and its interval.
LINES = {
    "copies": "copies",
    "patients": "patients",
    "membership_samples": "membership_samples",
    "membership": "membership_weights",
}
QUALITY = ("frechet_distance_held_out", "coverage_held_out")


def tabulate_mitigations(runs: list[dict], paths: list[dict[str, Path]], quality_path: Path, path: Path) -> None:
    """Write the table: run columns, epoch (the last), verdict, copies and patients exposed (corrected shares),
    membership_samples and membership_weights (areas under the curve; the latter only where weights are judged), each
    with `_low` and `_high`; two metrics of quality against held-out patients, each with `_real`, that of real images
    in the samples' place; epsilon and delta (of differential privacy, where it has any), seconds of its training.

    runs: dataset, model, kind, variant and seed of each network. paths: for each of them the files verdict, spec and
    seconds.
    """
    quality = read_table(quality_path)
    rows = []
    for run, files in zip(runs, paths, strict=True):
        spec, verdict = read_yaml(files["spec"]), json.loads(files["verdict"].read_text())
        named = {key: run[key] for key in STATE if key != "epoch"} | {"epoch": spec["epochs"][-1]}
        cost = {"epsilon": spec.get("epsilon"), "delta": spec.get("delta"), "seconds": _seconds(files["seconds"])}
        of_run = quality[(quality[list(named)] == pd.Series(named)).all(axis=1)].set_index("metric")
        rows.append({**named, "verdict": verdict["verdict"], **_rates(verdict), **_quality(of_run), **cost})
    write_table(pd.DataFrame(rows), path)


def _rates(verdict: dict) -> dict[str, float | None]:
    by_name = {line["name"]: line for line in verdict["lines"]}
    return {
        f"{column}{suffix}": by_name.get(name, {}).get(key)
        for name, column in LINES.items()
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def _quality(rows: pd.DataFrame) -> dict[str, float]:
    return {
        f"{metric}{suffix}": rows.loc[metric, key]
        for metric in QUALITY
        for suffix, key in (("", "value"), ("_real", "real"))
    }


def _seconds(path: Path) -> float:
    """The wall time that Snakemake noted of a job."""
    return float(read_table(path)["s"].iloc[0])
