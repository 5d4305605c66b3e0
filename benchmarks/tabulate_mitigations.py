"""A study of mitigations as a Markdown table, for docs/findings.md, and where its trainings stop.

    .venv/bin/python benchmarks/tabulate_mitigations.py results mitigations
    .venv/bin/python benchmarks/tabulate_mitigations.py results stopping long:stopped long_0096:stopped_0096

The first has one row per recipe: means over seeds with 95 % t-intervals over seeds. The second compares trainings that
stopped by themselves with long ones on the same images, whose snapshots show when copying begins: pairs
`long:stopped`. A snapshot is clean while copies by the matched rule are at most 8 %, as many as among control patients.
"""

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import t as student
from tabulate_study import _markdown, _name, _short, mean_and_interval

COLUMNS = {
    "copies": ("copies, %", 100),
    "patients": ("patients exposed, %", 100),
    "membership_samples": ("membership by samples", 1),
    "membership_weights": ("by weights", 1),
    "frechet_distance_held_out": ("Frechet to held-out", 1),
    "coverage_held_out": ("coverage", 1),
    "usefulness": ("usefulness", 1),
    "epsilon": ("epsilon", 1),
    "seconds": ("seconds", 1),
}
VERDICTS = {"PASS": "PASS", "NOT ABLE TO SAY": "NOT ABLE", "FAIL": "FAIL"}
DISTANCE = "frechet_distance_held_out"
CLEAN = 0.08


def recipes(folder: Path, study: str) -> str:
    """A row per recipe, by its distance to held-out patients."""
    table = pd.read_csv(folder / "mitigations" / f"{study}.csv")
    groups = sorted(table.groupby(["model", "variant"], sort=False), key=lambda group: group[1][DISTANCE].mean())
    rows = []
    for name, of_recipe in groups:
        numbers = of_recipe["verdict"].value_counts()
        verdicts = ", ".join(f"{numbers[key]} {word}" for key, word in VERDICTS.items() if key in numbers)
        failing = sorted({line for lines in of_recipe["failing"].dropna() for line in lines.split()})
        values = [_values(of_recipe[column], scale, column) for column, (_, scale) in COLUMNS.items()]
        rows.append([_name(name), verdicts, ", ".join(failing).replace("_", " ") or "-", *values])
    return _markdown(["recipe", "verdicts", "what fails", *(title for title, _ in COLUMNS.values())], rows)


def _values(values: pd.Series, scale: int, column: str) -> str:
    if column == "usefulness":  # whose differences are small
        half = (
            student.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5 if len(values) > 1 else float("nan")
        )
        return f"{values.mean():.3f}" if pd.isna(half) else f"{values.mean():.3f} ± {half:.3f}"
    return mean_and_interval(scale * values)


def stops(folder: Path, study: str, pairs: list[tuple[str, str]]) -> str:
    """A row per pair of variants and seed."""
    scores = pd.read_csv(folder / "scores" / f"{study}.csv").query("rule == 'matched'")
    quality = pd.read_csv(folder / "quality" / f"{study}.csv").query("metric == @DISTANCE")
    forecast = pd.read_csv(folder / "forecast" / f"{study}.csv")
    keys = ["variant", "seed", "epoch"]
    table = scores.merge(quality[[*keys, "value"]], on=keys, validate="one_to_one")
    rows = []
    for long, stopped in pairs:
        if not {long, stopped} <= set(table["variant"]):
            raise ValueError(f"{long}:{stopped}: {study} has {', '.join(table['variant'].unique())}")
        for seed in sorted(table["seed"].unique()):
            states = table[(table["variant"] == long) & (table["seed"] == seed)].sort_values("epoch")
            end = table[(table["variant"] == stopped) & (table["seed"] == seed)].iloc[-1]
            copied = states[states["copies"] > CLEAN]["epoch"]
            clean = states[states["epoch"] < copied.min()] if len(copied) else states
            found = forecast[(forecast["variant"] == stopped) & (forecast["seed"] == seed)].iloc[0]
            rows.append(
                [
                    str(end["n_train"]),
                    str(seed),
                    str(end["epoch"]),
                    str(clean["epoch"].max()),
                    _short(100 * end["copies"]),
                    _short(end["value"]),
                    _short(clean["value"].min()),
                    f"{found['begins']:.0f}",
                    "-" if pd.isna(found["forecast"]) else f"{found['forecast']:.0f}",
                ]
            )
    header = [
        "\\|T\\|",
        "seed",
        "stopped after epoch",
        "last clean snapshot",
        "copies there, %",
        "Frechet there",
        "best clean Frechet",
        "begins at step",
        "foretold",
    ]
    return _markdown(header, rows)


if __name__ == "__main__":
    results, name, *compared = sys.argv[1:]
    if compared:
        sys.stdout.write(stops(Path(results), name, [tuple(pair.split(":")) for pair in compared]))
    else:
        sys.stdout.write(recipes(Path(results), name))
