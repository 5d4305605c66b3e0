"""A finished study as Markdown tables, for docs/findings.md.

    .venv/bin/python benchmarks/tabulate_study.py results chest

One row per network: means over seeds with 95 % t-intervals over seeds, or with one seed the interval that the study has
from resampling patients and samples. Matched rule. Image quality has no interval with one seed.
"""

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import t as student

RATES = {
    "copies": "copies, %",
    "patients_memorized": "patients memorized, %",
    "patients_memorized_at_n_train": "the same at \\|S\\| = \\|T\\|, %",
    "control_rate": "control rate, %",
    "control_rate_decoded": "decoded, %",
}
METRICS = {
    "frechet_distance": "Frechet distance",
    "precision": "precision",
    "recall": "recall",
    "self_similarity": "MS-SSIM",
    "authentic_share": "authentic, %",
}
RUN = ["model", "variant", "seed"]


def short(value: float) -> str:
    """A number in two digits or so."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def mean_and_interval(
    values: pd.Series, low: pd.Series | None = None, high: pd.Series | None = None, written=short
) -> str:
    """`mean ± half the interval over seeds`; with one value that and its own interval, if it has one."""
    mean = values.mean()
    if pd.isna(mean):
        return "-"
    if len(values) > 1:
        half = student.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
        return f"{written(mean)} ± {written(half)}"
    return f"{written(mean)} ({written(low.item())}–{written(high.item())})" if low is not None else written(mean)


def tables(folder: Path, study: str) -> str:
    """Two tables of the last epochs (copies, quality) and one of all epochs of networks that have several."""
    scores = pd.read_csv(folder / "scores" / f"{study}.csv").query("rule == 'matched'")
    quality = pd.read_csv(folder / "quality" / f"{study}.csv")
    for column in ("dataset", "detector"):
        if scores[column].nunique() > 1:
            raise ValueError(f"{study}: has several {column}s, of which one at a time can be tabulated")
    last_scores, last_quality = (table[table["epoch"] == _last_epoch(table)] for table in (scores, quality))
    parts = []
    rows = [_rates(name, of_network) for name, of_network in last_scores.groupby(RUN[:2], sort=False)]
    parts.append(markdown(["network", "\\|T\\|", *RATES.values()], rows))
    rows = [_metrics(name, of_network) for name, of_network in last_quality.groupby(RUN[:2], sort=False)]
    most = last_quality[last_quality["n_samples"] == last_quality["n_samples"].max()]
    most = most[most["n_reference"] == most["n_reference"].max()]
    real = most.groupby("metric")["real"].mean()
    rows.append(
        [
            f"*as many real images ({most['n_samples'].max()})*",
            *(short(_scaled(metric, real[metric])) for metric in METRICS),
        ]
    )
    parts.append(markdown(["network", *METRICS.values()], rows))
    several = scores[scores.groupby(RUN)["epoch"].transform("nunique") > 1]
    shown = ("copies", "patients_memorized")
    rows = [
        [name_of(name[:2]), str(name[2]), *(mean_and_interval(*_columns(of_epoch, rate)) for rate in shown)]
        for name, of_epoch in several.groupby(["model", "variant", "epoch"], sort=False)
    ]
    parts.append(markdown(["network", "epoch", "copies, %", "patients memorized, %"], rows))
    return "\n".join(parts)


def _last_epoch(table: pd.DataFrame) -> pd.Series:
    return table.groupby(RUN)["epoch"].transform("max")


def _columns(rows: pd.DataFrame, rate: str) -> list[pd.Series]:
    return [100 * rows[f"{rate}{end}"] for end in ("", "_low", "_high")]


def _rates(name: tuple[str, str], rows: pd.DataFrame) -> list[str]:
    return [name_of(name), str(rows["n_train"].iloc[0]), *(mean_and_interval(*_columns(rows, rate)) for rate in RATES)]


def _metrics(name: tuple[str, str], rows: pd.DataFrame) -> list[str]:
    values = [rows.loc[rows["metric"] == metric, "value"] for metric in METRICS]
    return [
        name_of(name),
        *(mean_and_interval(_scaled(metric, each)) for metric, each in zip(METRICS, values, strict=True)),
    ]


def _scaled(metric: str, values):
    return 100 * values if METRICS[metric].endswith("%") else values


def name_of(name: tuple[str, str]) -> str:
    return name[0] if name[1] == "base" else f"{name[0]} {name[1]}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(tables(Path(sys.argv[1]), sys.argv[2]))
