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


def tabulate_mitigations(runs: list[dict], paths: list[dict[str, Path]], tables: list[Path], path: Path) -> None:
    """Write the table, a row per network.

    Run columns and epoch (the last); verdict; samples_alone, the verdict if the weights aren't released; rest, the
    verdict on what is left when doubtful samples are withheld (nothing after a PASS); failing and unable, the lines
    that fail or can't be told; copies and patients exposed (corrected shares), membership_samples and
    membership_weights (areas under the curve; the latter where weights are judged), each with `_low` and `_high`; two
    metrics of quality against held-out patients, each with `_real`, that of real images in the samples' place, the
    Frechet distance also with `_low` and `_high`, over these patients;
    usefulness, with `_low` and `_high`, where it's measured; epsilon and delta (of differential privacy, where it has
    any); seconds of its training.

    runs: dataset, model, kind, variant and seed of each network. paths: for each of them the files verdict, spec and
    seconds. tables: the study's table of quality and, where there is one, that of usefulness.
    """
    quality, *useful = map(read_table, tables)
    rows = []
    for run, files in zip(runs, paths, strict=True):
        spec, verdict = read_yaml(files["spec"]), json.loads(files["verdict"].read_text(encoding="utf-8"))
        named = {key: run[key] for key in STATE if key != "epoch"} | {"epoch": spec["epochs"][-1]}
        cost = {"epsilon": spec.get("epsilon"), "delta": spec.get("delta"), "seconds": _seconds(files["seconds"])}
        of_run = _of(quality, named).set_index("metric")
        worth = {key: value for table in useful for key, value in _usefulness(table, named).items()}
        rows.append({**named, **_verdicts(verdict), **_rates(verdict), **_quality(of_run), **worth, **cost})
    write_table(pd.DataFrame(rows), path)


def _rates(verdict: dict) -> dict[str, float | None]:
    by_name = {line["name"]: line for line in verdict["lines"]}
    return {
        f"{column}{suffix}": by_name.get(name, {}).get(key)
        for name, column in LINES.items()
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def _verdicts(verdict: dict) -> dict[str, str | None]:
    by_name = {line["name"]: line for line in verdict["lines"]}
    named = {
        column: " ".join(name for name, line in by_name.items() if line["outcome"] == outcome)
        for column, outcome in (("failing", "fail"), ("unable", "unable"))
    }
    rest = verdict["quarantine"]["verdict"] if verdict["quarantine"] else None
    alone = verdict["samples_alone"] or verdict["verdict"]
    return {"verdict": verdict["verdict"], "samples_alone": alone, "rest": rest, **named}


def _quality(rows: pd.DataFrame) -> dict[str, float]:
    filled = [(metric, suffix, key) for metric in QUALITY for suffix, key in (("", "value"), ("_real", "real"))]
    filled += [(QUALITY[0], f"_{key}", key) for key in ("low", "high")]
    return {f"{metric}{suffix}": rows.loc[metric, key] for metric, suffix, key in filled}


def _usefulness(table: pd.DataFrame, named: dict) -> dict[str, float]:
    return _of(table, named).iloc[0][["usefulness", "usefulness_low", "usefulness_high"]].to_dict()


def _of(table: pd.DataFrame, named: dict) -> pd.DataFrame:
    """The rows of one state of a network."""
    return table[(table[list(named)] == pd.Series(named)).all(axis=1)]


def _seconds(path: Path) -> float:
    """The seconds that a job noted (`copylens.jobs.job`)."""
    return float(read_table(path)["s"].iloc[0])
