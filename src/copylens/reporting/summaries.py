"""Numbers in figures: gaps, fronts, spreads and differences. T are the training images, V calibration images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.stats import spearmanr
from scipy.stats import t as student

from copylens.config.columns import NETWORK
from copylens.reporting.page import (
    require,
)

WORST_FIRST = ("FAIL", "NOT ABLE TO SAY", "PASS")  # verdicts of an audit
FORETELLS, ENOUGH = 0.8, 4  # the rank correlation above which the gap is called a warning, and the fewest points


def relative_gaps(denoising: pd.DataFrame) -> pd.DataFrame:
    """(loss of V - loss of T) / loss of V for each run and timestep that has both: run columns, timestep, gap.

    Above 0 where training images are denoised better than images of other patients.

    Raises ValueError where no run has both.
    """
    index = [*NETWORK, "epoch", "timestep"]
    train, calibration = (
        denoising[denoising["role"] == role].set_index(index)["loss"] for role in ("train", "calibration")
    )
    gaps = ((calibration - train) / calibration).dropna().rename("gap").reset_index()
    require(gaps, (), "denoising of both train and calibration")
    order = denoising[index[:-1]].drop_duplicates()  # the table's
    return order.merge(gaps, on=index[:-1])


def foretells(gaps: pd.Series, copies: pd.Series) -> str:
    """Whether the gap foretells the copies, in a sentence, by Spearman's rank correlation over the points [n]."""
    n_points = len(gaps)
    if n_points == 0:
        return "Copies weren't scored at these epochs."
    if n_points < ENOUGH:
        return f"Does the gap foretell the copies? {n_points} point{'s' * (n_points > 1)} can't tell."
    if gaps.nunique() == 1 or copies.nunique() == 1:
        return f"Does the gap foretell the copies? All {n_points} points have the same; can't tell."
    rho = spearmanr(gaps, copies).statistic
    answer = "The gap foretells the copies" if rho > FORETELLS else "The gap foretells them poorly"
    return f"{answer}: Spearman correlation {rho:.2f} over {n_points} points.".replace("-", "−")


def spread(wanted: np.ndarray, heights: np.ndarray | list[float], low: float, high: float) -> np.ndarray:
    """Middles of labels that are `heights` high, as near to `wanted` as they can be without overlaps.

    Same unit for all; the squared distances are least (isotonic regression), and all lie between `low` and `high`
    where they fit there. The order is that of `wanted`, equal ones in the order in which they come.
    """
    wanted, heights = np.asarray(wanted, dtype=float), np.asarray(heights, dtype=float)
    order = np.argsort(wanted, kind="stable")
    sizes = heights[order]
    offsets = np.cumsum(sizes) - sizes / 2  # of the middles, where labels stand edge to edge
    starts = isotonic_regression(wanted[order] - offsets).x
    middles = np.empty(len(order))
    middles[order] = np.clip(starts, low, max(low, high - sizes.sum())) + offsets
    return middles


def pareto_front(points: pd.DataFrame, risk: str = "copies") -> pd.DataFrame:
    """The rows that no other row beats: lower `value` and no more `risk`, or the reverse; by ascending value."""
    ordered = points.sort_values(["value", risk])
    best = ordered[risk].cummin().shift(fill_value=np.inf)
    return ordered[ordered[risk] < best]


def recipe_means(group: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """A row per recipe: its kind, the worst verdict of its seeds, and means over seeds of the measures.

    Each mean has its 95 % t-interval over seeds, `_least` and `_most`; `_low` and `_high` are means of each seed's own
    interval, NaN where it has none. group: recipe, kind, seed, verdict, the measures, their `_low` and `_high`.
    """
    rows = []
    for recipe, seeds in group.groupby("recipe", sort=False):
        row = {"recipe": recipe, "kind": seeds["kind"].iloc[0]}
        row["verdict"] = next(verdict for verdict in WORST_FIRST if (seeds["verdict"] == verdict).any())
        for name in measures:
            mean, n = seeds[name].mean(), seeds[name].count()
            half = student.ppf(0.975, n - 1) * seeds[name].std() / n**0.5 if n > 1 else 0.0
            row |= {name: mean, f"{name}_least": mean - half, f"{name}_most": mean + half}
            row |= {f"{name}{end}": seeds[f"{name}{end}"].mean() for end in ("_low", "_high")}
        rows.append(row)
    return pd.DataFrame(rows)


# Of control images and, where a model has a decoder, of decoded ones; the larger one counts.
CONTROL_BOUNDS = ["control_rate_high", "control_rate_decoded_high"]


def stop_epoch(rows: pd.DataFrame) -> int | None:
    """The epoch of early stopping: the last one before copies first exceed the control rate.

    They exceed it where their lower bound is above the upper bounds of both control rates, of real images and of
    decoded ones (NaN is left out); bounds are means over seeds. Later epochs don't count, even if copies fall again.

    0 where copies exceed the control rate already at the first epoch, None where they never do.
    """
    bounds = rows.groupby("epoch")[["copies_low", *CONTROL_BOUNDS]].mean()
    exceeded = bounds["copies_low"] > bounds[CONTROL_BOUNDS].max(axis=1)
    if not exceeded.any():
        return None
    before = bounds.index[bounds.index < exceeded.idxmax()]
    return int(before.max()) if len(before) else 0


def paired_difference(base: pd.Series, variant: pd.Series) -> tuple[float, float, float]:
    """Mean of `variant` - `base` over the seeds that both have, and its 95 % t-interval: (mean, low, high).

    Both are indexed by seed. The bounds are NaN where fewer than two seeds are shared, all are where none is.
    """
    differences = (variant - base).dropna()  # pandas pairs them by seed
    n_seeds = len(differences)
    if n_seeds == 0:
        return np.nan, np.nan, np.nan
    mean = differences.mean()
    if n_seeds == 1:
        return mean, np.nan, np.nan
    reach = student.ppf(0.975, n_seeds - 1) * differences.std() / np.sqrt(n_seeds)
    return mean, mean - reach, mean + reach
