"""A study of mitigations as a Markdown table, for docs/findings.md, and where its trainings stop.

    .venv/bin/python benchmarks/tabulate_mitigations.py results/mitigations/mitigations.csv
    .venv/bin/python benchmarks/tabulate_mitigations.py results stopping long:stopped long_0096:stopped_0096

The first has one row per recipe: means over seeds with 95 % t-intervals over seeds. Tables of several runs, one per
seed, may be given together; benchmarks/mitigations_nih.csv has seed 0 of configs/mitigations_nih.yaml, without seconds,
because other work ran beside it. The second compares trainings that stopped by themselves with long ones on the same
images, whose snapshots show when copying begins: pairs `long:stopped`. A snapshot is clean while copies by the matched
rule are at most 8 %.
"""

import sys
from pathlib import Path

import pandas as pd
from tabulate_study import markdown, mean_and_interval, name_of, short

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


def recipes(paths: list[Path]) -> str:
    """A row per recipe, by its distance to held-out patients."""
    table = pd.concat([pd.read_csv(path) for path in paths])
    groups = sorted(table.groupby(["model", "variant"], sort=False), key=lambda group: group[1][DISTANCE].mean())
    rows = []
    for name, of_recipe in groups:
        verdicts = [_counted(of_recipe[column]) for column in ("verdict", "samples_alone")]
        failing = sorted({line for lines in of_recipe["failing"].dropna() for line in lines.split()})
        values = [_values(of_recipe[column], scale, column) for column, (_, scale) in COLUMNS.items()]
        rows.append([name_of(name), *verdicts, ", ".join(failing).replace("_", " ") or "-", *values])
    return markdown(
        ["recipe", "verdict", "of samples alone", "what fails", *(title for title, _ in COLUMNS.values())], rows
    )


def _counted(verdicts: pd.Series) -> str:
    numbers = verdicts.value_counts()
    return ", ".join(f"{numbers[key]} {word}" for key, word in VERDICTS.items() if key in numbers)


def _values(values: pd.Series, scale: int, column: str) -> str:
    # Differences of usefulness are small.
    return mean_and_interval(scale * values, written="{:.3f}".format if column == "usefulness" else short)


def stops(folder: Path, study: str, pairs: list[tuple[str, str]]) -> str:
    """A row per pair of variants and seed."""
    scores = pd.read_csv(folder / "scores" / f"{study}.csv").query("rule == 'matched' and kind == 'latent_diffusion'")
    quality = pd.read_csv(folder / "quality" / f"{study}.csv").query("metric == @DISTANCE")
    forecast = pd.read_csv(folder / "forecast" / f"{study}.csv")
    keys = ["model", "variant", "seed", "epoch"]
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
                    short(100 * end["copies"]),
                    short(end["value"]),
                    short(clean["value"].min()),
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
    return markdown(header, rows)


if __name__ == "__main__":
    if sys.argv[1].endswith(".csv"):
        sys.stdout.write(recipes([Path(argument) for argument in sys.argv[1:]]))
    else:
        results, name, *compared = sys.argv[1:]
        sys.stdout.write(stops(Path(results), name, [tuple(pair.split(":")) for pair in compared]))
