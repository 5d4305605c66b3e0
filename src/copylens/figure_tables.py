"""What the figures show, gathered from results: tables in, tables out. No torch, no drawing."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.epochs import number_of, snapshot_of
from copylens.files import read_array, read_arrays, read_table

PAIRS_2D, PAIRS_3D = 24, 6
SHEET = 12  # samples of a network on a sheet


def run_labels(runs: list[dict]) -> list[str]:
    """Each comparison in words: data set, network, variant but base, epoch but the last, detector if several."""
    several = len({run["detector"] for run in runs}) > 1
    return [
        " · ".join(
            [run["dataset"].replace("_", " "), run["model"]]
            + [run["variant"]] * (run["variant"] != "base")
            + ([] if run["epoch"] == "last" else [f"epoch {snapshot_of(run['epoch'])}"])
            + [run["detector"]] * several
        )
        for run in runs
    ]


def copy_pairs(
    run: dict, scores: pd.DataFrame, nearest: Path, samples: Path, images: Path, scans: Path
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """(pairs, synthetic, training): samples beside their nearest training image.

    pairs: rank, correlation, called ('copy' or 'no copy' by the matched rule), patient. The first half are the most
    similar pairs, the second half are spread evenly over the remaining ranks, so that the page also shows where the
    rule's threshold lies. A training image appears once, with its most similar sample.
    """
    arrays = read_arrays(nearest)
    correlation = arrays["synthetic_to_train_correlation"][:, 0]
    row = arrays["synthetic_to_train_index"][:, 0]
    order = np.argsort(-correlation, kind="stable")
    _, first = np.unique(row[order], return_index=True)
    order = order[np.sort(first)]
    real = read_array(images)
    n_shown = min(len(order), PAIRS_2D if real.ndim == 3 else PAIRS_3D)
    top = (n_shown + 1) // 2
    spread = np.linspace(top, len(order) - 1, n_shown - top).round().astype(int)
    shown = np.unique(np.r_[np.arange(top), spread])
    chosen = order[shown]
    tau = _of_run(scores, run).query("rule == 'matched'")["tau"].item()
    patients = read_table(scans)["patient"].to_numpy()
    pairs = pd.DataFrame(
        {
            "rank": shown + 1,
            "correlation": correlation[chosen],
            "called": np.where(correlation[chosen] > tau, "copy", "no copy"),
            "patient": patients[row[chosen]],
        }
    )
    return pairs, np.array(read_array(samples)[chosen]), np.array(real[row[chosen]])


def nearest_correlations(
    runs: list[dict], scores: pd.DataFrame, nearest: list[Path]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(correlations, thresholds) of several comparisons: see `figures.nearest_correlations.draw` for the columns."""
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
            values = arrays[f"{name}_to_train_correlation"][:, 0]
            correlations.append(pd.DataFrame({"panel": panel, "group": group, "correlation": values}))
        rows = _of_run(scores, run)[["rule", "tau", "copies", "control_rate", "control_rate_decoded"]]
        thresholds.append(rows.assign(panel=panel))
    return pd.concat(correlations, ignore_index=True), pd.concat(thresholds, ignore_index=True)


def sample_sheets(
    runs: list[dict], samples: list[Path], images: list[Path], splits: list[Path]
) -> list[tuple[str, np.ndarray]]:
    """(label, images [n, *grid]) of each network, once per network, and of each data set's control patients."""
    sheets, real = {}, {}
    for run, label, drawn, scans, split in zip(runs, run_labels(runs), samples, images, splits, strict=True):
        sheets.setdefault(str(drawn), (label, np.array(read_array(drawn)[:SHEET])))
        rows = np.flatnonzero(read_table(split)["role"] == "control")[:SHEET]
        name = f"real images of unseen patients · {run['dataset'].replace('_', ' ')}"
        real.setdefault(run["dataset"], (name, np.array(read_array(scans)[rows])))
    return [*sheets.values(), *real.values()]


def denoising(networks: list[dict], tables: list[Path]) -> pd.DataFrame:
    """Denoising losses of several networks: dataset, model, variant, seed, epoch, role, timestep, loss, error.

    The last state's epoch is read from the losses of its training, whose path is `losses` in `networks`.
    """
    names = ("dataset", "model", "variant", "seed")
    return pd.concat(
        [
            read_table(path).assign(
                **{name: network[name] for name in names}, epoch=number_of(network["epoch"], network["losses"])
            )
            for network, path in zip(networks, tables, strict=True)
        ],
        ignore_index=True,
    )


def training_curves(networks: list[dict], losses: list[Path]) -> pd.DataFrame:
    """Losses of several networks: panel, network, step, name, value."""
    tables = [
        read_table(path)[["step", "name", "value"]].assign(
            panel=network["dataset"].replace("_", " "), network=network["network"]
        )
        for network, path in zip(networks, losses, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _of_run(scores: pd.DataFrame, run: dict) -> pd.DataFrame:
    """The two rows (one per rule) of one comparison."""
    mask = np.logical_and.reduce(
        [scores[key] == run[key] for key in ("dataset", "model", "variant", "seed", "detector")]
    )
    rows = scores[mask]
    epoch = rows["epoch"].max() if run["epoch"] == "last" else snapshot_of(run["epoch"])
    # A snapshot at the very end has the same rows as the last state.
    return rows[rows["epoch"] == epoch].groupby("rule", sort=False).tail(1)
