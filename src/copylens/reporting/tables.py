"""The figures' tables, gathered from results: tables in, tables out. No torch, no drawing."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.columns import GAP, NETWORK, RISE
from copylens.jobs.files import read_array, read_arrays, read_table

PAIRS_2D, PAIRS_3D = 24, 6
SHEET = 12  # samples of a network on a sheet


def run_labels(runs: list[dict]) -> list[str]:
    """Each comparison in words: data set, network, variant but base, detector if several."""
    several = len({run["detector"] for run in runs}) > 1
    return [
        " · ".join(
            [run["dataset"].replace("_", " "), run["model"]]
            + [run["variant"]] * (run["variant"] != "base")
            + [run["detector"]] * several
        )
        for run in runs
    ]


def copy_pairs(
    run: dict, scores: pd.DataFrame, nearest: Path, samples: Path, images: Path, scans: Path
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """(pairs, synthetic, training): samples beside their nearest training image.

    pairs: rank, correlation, called ('copy' or 'no copy' by the matched rule), patient. The first half are the most
    similar pairs, the second half are spread evenly over the remaining ranks, so that the page also shows pairs around
    the rule's threshold. A training image appears once, with its most similar sample.
    """
    arrays = read_arrays(nearest)
    correlation = arrays["synthetic_to_train_similarity"][-1, :, 0]
    row = arrays["synthetic_to_train_index"][-1, :, 0]
    order = np.argsort(-correlation, kind="stable")
    _, first = np.unique(row[order], return_index=True)
    order = order[np.sort(first)]
    real = read_array(images)
    n_shown = min(len(order), PAIRS_2D if real.ndim == 3 else PAIRS_3D)
    top = (n_shown + 1) // 2
    spread = np.linspace(top, len(order) - 1, n_shown - top).round().astype(int)
    shown = np.unique(np.r_[np.arange(top), spread])
    order_shown = order[shown]
    tau = _of_run(scores, run).query("rule == 'matched'")["tau"].item()
    patients = read_table(scans)["patient"].to_numpy()
    pairs = pd.DataFrame(
        {
            "rank": shown + 1,
            "correlation": correlation[order_shown],
            "called": np.where(correlation[order_shown] > tau, "copy", "no copy"),
            "patient": patients[row[order_shown]],
        }
    )
    return pairs, np.array(read_array(samples)[-1][order_shown]), np.array(real[row[order_shown]])


def copied_regions(
    run: dict, scores: pd.DataFrame, regions: Path, samples: Path, images: Path
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """(pairs, synthetic, training, regions): see `copylens.reporting.figures.copied_regions.draw`."""
    arrays = read_arrays(regions)
    tau = _of_run(scores, run).query("rule == 'matched'")["tau"].item()
    pairs = pd.DataFrame({name: arrays[name] for name in ("rank", "similarity")})
    pairs["called"] = np.where(pairs["similarity"] > tau, "copy", "no copy")
    synthetic = np.array(read_array(samples)[-1][arrays["sample"]])
    return pairs, synthetic, np.array(read_array(images)[arrays["row"]]), arrays["regions"]


def nearest_correlations(
    runs: list[dict], scores: pd.DataFrame, nearest: list[Path]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(correlations, thresholds) of several comparisons, for `figures.nearest_correlations`."""
    groups = {
        "synthetic": "synthetic",
        "calibration": "calibration",
        "control": "control",
        "control, decoded": "control_decoded",
    }
    correlations, thresholds = [], []
    for run, panel, path in zip(runs, run_labels(runs), nearest, strict=True):
        arrays = read_arrays(path)
        for group, name in groups.items():
            values = arrays[f"{name}_to_train_similarity"]
            values = (values[-1] if name == "synthetic" else values)[:, 0]
            correlations.append(pd.DataFrame({"panel": panel, "group": group, "correlation": values}))
        rows = _of_run(scores, run)[["rule", "tau", "copies", "control_rate", "control_rate_decoded"]]
        thresholds.append(rows.assign(panel=panel))
    return pd.concat(correlations, ignore_index=True), pd.concat(thresholds, ignore_index=True)


def sample_sheets(
    runs: list[dict], samples: list[Path], images: list[Path], splits: list[Path]
) -> list[tuple[str, np.ndarray]]:
    """(label, images [n, *grid]) of each network, once per network, and of each data set's control patients."""
    sheets: dict[str, tuple[str, np.ndarray]] = {}
    real: dict[str, tuple[str, np.ndarray]] = {}
    for run, label, drawn, scans, split in zip(runs, run_labels(runs), samples, images, splits, strict=True):
        sheets.setdefault(str(drawn), (label, np.array(read_array(drawn)[-1, :SHEET])))
        rows = np.flatnonzero(read_table(split)["role"] == "control")[:SHEET]
        name = f"real images of unseen patients · {run['dataset'].replace('_', ' ')}"
        real.setdefault(run["dataset"], (name, np.array(read_array(scans)[rows])))
    return [*sheets.values(), *real.values()]


def denoising(networks: list[dict], tables: list[Path]) -> pd.DataFrame:
    """Denoising losses of several networks: dataset, model, variant, seed, epoch, role, timestep, loss, error."""
    measured = [read_table(path).assign(**network) for network, path in zip(networks, tables, strict=True)]
    return pd.concat([table for table in measured if len(table)] or measured[:1], ignore_index=True)


def benchmarks(datasets: list[str], detectors: list[str], paths: list[Path]) -> pd.DataFrame:
    """The rows of some detectors in the benchmarks of several data sets."""
    named = zip(datasets, paths, strict=True)
    table = pd.concat([read_table(path).assign(dataset=dataset) for dataset, path in named])
    return table[table["detector"].isin(detectors)]


def by_severity(benchmark: pd.DataFrame) -> pd.DataFrame:
    """The rows of a benchmark that are families at a severity, with family and severity, and their means last.

    The mean over families, of each data set, detector and severity, has the family and the group `mean`.
    """
    named = benchmark["transform"].str.extract(r"^(?P<family>.+)_(?P<severity>\d{3})$")
    kept = named["severity"].notna()
    severity = named["severity"][kept].astype(float) / 100
    rows = benchmark[kept].assign(family=named["family"][kept], severity=severity)
    means = rows.groupby(["dataset", "detector", "severity"], sort=False).mean(numeric_only=True).reset_index()
    return pd.concat([rows, means.assign(family="mean", group="mean", transform="mean")], ignore_index=True)


def training_curves(networks: list[dict], losses: list[Path]) -> pd.DataFrame:
    """Losses of several networks, without what `training.stop` watches: panel, network, step, name, value."""
    tables = [
        read_table(path)[["step", "name", "value"]].assign(
            panel=network["dataset"].replace("_", " "), network=network["network"]
        )
        for network, path in zip(networks, losses, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    return table[~table["name"].isin((GAP, RISE))].reset_index(drop=True)


def _of_run(scores: pd.DataFrame, run: dict) -> pd.DataFrame:
    """The two rows (one per rule) of one comparison, of the network's last state."""
    mask = np.logical_and.reduce([scores[key] == run[key] for key in (*NETWORK, "detector")])
    rows = scores[mask]
    return rows[rows["epoch"] == rows["epoch"].max()]
