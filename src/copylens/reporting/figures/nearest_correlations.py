"""How near images come to the training set: one ridge per group of images, and both rules' thresholds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from copylens.jobs.files import read_table
from copylens.reporting import tables
from copylens.reporting.page import (
    FAINT,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    RULE_LINES,
    blank_page,
    house_style,
    place,
    require,
    wrap,
    write,
)

CORRELATION_COLUMNS = ("panel", "group", "correlation")
THRESHOLD_COLUMNS = ("panel", "rule", "tau", "copies", "control_rate", "control_rate_decoded")
# From top to bottom; the last is the control group after a decoder.
GROUPS = {
    "synthetic": ROLES["synthetic"],
    "calibration": ROLES["calibration"],
    "control": ROLES["control"],
    "control, decoded": ROLES["control"],
}

# All in inches.
MARGIN, LABELS, RIGHT, GAP = 0.12, 1.12, 0.14, 0.34
TITLE, RIDGE, HEADROOM, BELOW, FOOT = 0.78, 0.27, 0.16, 0.32, 0.5
TITLE_LINE = 0.13
LABEL_ROOM = 0.5  # beside a threshold, for its name
SMOOTHING = 0.022  # the kernel's standard deviation as a share of the axis
TABLE = (0.74, 1.1, 1.46, 1.86)  # right edges of the columns tau, copies, control, control through the decoder


def pages(files, settings) -> list[Figure]:
    """One page, from a study's scores and comparisons."""
    return [draw(*tables.nearest_correlations(settings["runs"], read_table(files["scores"]), files["nearest"]))]


@house_style()
def draw(correlations: pd.DataFrame, thresholds: pd.DataFrame) -> Figure:
    """One panel per comparison.

    correlations: one row per image; panel (e.g. 'chest xray · ldm'), group ('synthetic', 'calibration',
        'control' or 'control, decoded'), correlation (with its nearest training image).
    thresholds: one row per panel and rule; panel, rule ('paper' or 'matched'), tau, copies, control_rate and
        control_rate_decoded (shares, 0 to 1; NaN where there is no decoder).

    Each ridge is smoothed and scaled to its own peak; the part above the matched rule's threshold is darker.
    Raises ValueError where columns or thresholds are missing, a table is empty, or a group is unknown.
    """
    require(correlations, CORRELATION_COLUMNS, "correlations")
    require(thresholds, THRESHOLD_COLUMNS, "thresholds")
    unknown = sorted(set(correlations["group"]) - set(GROUPS))
    if unknown:
        raise ValueError(f"correlations: unknown groups {', '.join(unknown)}; known are {', '.join(GROUPS)}")
    groups = [group for group in GROUPS if (correlations["group"] == group).any()]
    panels = list(dict.fromkeys(correlations["panel"]))

    n_columns = 1 if len(panels) == 1 else 2 if len(panels) <= 8 else 3
    n_rows = -(-len(panels) // n_columns)
    width = (PAGE_WIDTH - LABELS - RIGHT - (n_columns - 1) * GAP) / n_columns if n_columns > 1 else 3.6
    height = HEADROOM + RIDGE * (len(groups) + 0.5)
    titles = {panel: wrap(panel, width, 7.5, "bold") for panel in panels}
    table = TITLE + TITLE_LINE * (max(map(len, titles.values())) - 1)
    row_height = table + height + BELOW
    figure = blank_page(LABELS + n_columns * width + (n_columns - 1) * GAP + RIGHT, n_rows * row_height + FOOT)

    for number, panel in enumerate(panels):
        row, column = divmod(number, n_columns)
        left, top = LABELS + column * (width + GAP), row * row_height
        rules = thresholds[thresholds["panel"] == panel].set_index("rule")
        if set(rules.index) != set(RULE_LINES):
            raise ValueError(f"thresholds: panel {panel!r} needs one row for each rule: {', '.join(RULE_LINES)}")
        _table(figure, left, top + table - TITLE, titles[panel], rules)
        axes = place(figure, left, top + table, width, height)
        values = correlations[correlations["panel"] == panel].groupby("group")["correlation"]
        ridges = {group: values.get_group(group).to_numpy() for group in groups if group in values.groups}
        low, high = _limits(ridges, rules["tau"], LABEL_ROOM / width)
        axes.set(xlim=(low, high), ylim=(-0.3, len(groups) + 0.2 + HEADROOM / RIDGE))
        for position, group in enumerate(reversed(groups)):
            if group in ridges:
                _ridge(axes, ridges[group], position, group, rules["tau"]["matched"])
        _thresholds(axes, rules["tau"])
        _ticks(axes, groups if column == 0 else [], width)
        if number + n_columns >= len(panels):
            axes.set_xlabel("nearest correlation")
    bottom = figure.get_size_inches()[1]
    note = "Correlation of each image with its nearest training image. Each curve is scaled to its own peak;"
    write(figure, MARGIN, bottom - 0.22, note, size=6, color=QUIET)
    write(figure, MARGIN, bottom - 0.11, "darker: above the matched threshold.", size=6, color=QUIET)
    return figure


def _table(figure: Figure, left: float, top: float, title: list[str], rules: pd.DataFrame) -> None:
    """The panel's name, and below it each rule's threshold and rates."""
    for above, line in enumerate(reversed(title)):
        write(figure, left, top + 0.22 - TITLE_LINE * above, line, size=7.5, weight="bold")
    for edge, name in zip(TABLE, ("τ", "copies", "control", "decoded"), strict=True):
        write(figure, left + edge, top + 0.38, name, size=6, color=QUIET, ha="right")
    for number, rule in enumerate(RULE_LINES):
        baseline = top + 0.51 + 0.13 * number
        write(figure, left, baseline, rule, size=6.5)
        row = rules.loc[rule]
        shares = row[["copies", "control_rate", "control_rate_decoded"]]
        cells = (f"{row['tau']:.3f}", *("–" if pd.isna(share) else f"{100 * share:.0f} %" for share in shares))
        for edge, cell in zip(TABLE, cells, strict=True):
            write(figure, left + edge, baseline, cell, size=6.5, ha="right")


def _limits(ridges: dict[str, np.ndarray], taus: pd.Series, room: float) -> tuple[float, float]:
    """Limits that hold every value and leave `room`, a share of the width, beside the thresholds."""
    values = np.concatenate([*ridges.values(), taus.to_numpy()])
    low, high = values.min(), values.max()
    margin = max(0.04 * (high - low), 0.01)
    low, high = low - margin, high + margin
    # On the left of the smaller threshold, on the right of the larger one.
    low = min(low, taus.min() - room / (1 - room) * (high - taus.min()))
    high = max(high, taus.max() + room / (1 - room) * (taus.max() - low))
    return low, high


def _ridge(axes: Axes, values: np.ndarray, base: float, group: str, tau: float) -> None:
    """A smoothed distribution that stands on `base`, and a tick for each image below it."""
    low, high = axes.get_xlim()
    high = min(high, 1)
    x = np.union1d(np.linspace(low, high, 400), min(tau, high))
    bandwidth = SMOOTHING * (high - low)
    # No correlation exceeds 1: the kernel's mass beyond 1 is reflected.
    density = sum(np.exp(-0.5 * ((x[:, None] - at) / bandwidth) ** 2).sum(axis=1) for at in (values, 2 - values))
    y = base + 0.86 * density / density.max()
    colour, style = GROUPS[group], (0, (2.2, 1.2)) if group.endswith("decoded") else "solid"
    axes.fill_between(x, base, y, where=x <= tau, color=colour, alpha=0.22, linewidth=0)
    axes.fill_between(x, base, y, where=x >= tau, color=colour, alpha=0.75, linewidth=0)
    axes.plot(x, y, color=colour, linewidth=0.9, linestyle=style)
    axes.plot([low, high], [base, base], color=FAINT, linewidth=0.5, zorder=0)
    axes.vlines(values, base - 0.11, base - 0.03, color=colour, linewidth=0.3, alpha=0.5)


def _thresholds(axes: Axes, taus: pd.Series) -> None:
    """Both thresholds as lines, named on the sides that face away from each other."""
    top = axes.get_ylim()[1]
    smaller = taus.idxmin() if taus.nunique() > 1 else "paper"
    for rule, style in reversed(RULE_LINES.items()):
        colour = ROLES["threshold"] if rule == "matched" else "#6B6B6B"
        axes.plot([taus[rule]] * 2, [-0.2, top], color=ROLES["threshold"], linestyle=style, linewidth=0.9)
        side = -1 if rule == smaller else 1
        axes.annotate(
            rule,
            (taus[rule], top),
            xytext=(3 * side, -1),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="top",
            size=6.5,
            color=colour,
        )


def _ticks(axes: Axes, groups: list[str], width: float) -> None:
    """No correlation exceeds 1, so the axis ends there; `groups` are named on the left."""
    low, right = axes.get_xlim()
    high = min(right, 1)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(low, high)
    n_ticks = max(2, int(width * (high - low) / (right - low) / 0.4))
    ticks = MaxNLocator(min(n_ticks, 6), steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_xticks(ticks[(ticks >= low) & (ticks <= high + 1e-9)])
    axes.set_yticks([])
    for position, group in enumerate(reversed(groups)):
        axes.annotate(
            group,
            (0, position + 0.12),
            xycoords=("axes fraction", "data"),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            color=GROUPS[group],
            weight="bold",
        )
