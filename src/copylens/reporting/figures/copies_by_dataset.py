"""Copies, memorized images and memorized patients, by both rules, beside the control rate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
from copylens.reporting.page import (
    EXPECTED_CONTROL,
    EXPECTED_LINE,
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    last_epochs,
    place,
    require,
    share_axis,
    text_width,
    wrap,
    write,
)

# (rate, title, second line, colour)
PANELS = (
    ("copies", "Copies", "of synthetic images", ROLES["synthetic"]),
    ("memorized", "Memorized", "of training images", ROLES["training"]),
    ("patients_memorized", "Memorized", "of training patients", ROLES["training"]),
    ("control_rate", "Control rate", "of unseen patients", ROLES["control"]),
    ("control_rate_decoded", "Control rate", "the same, decoded", ROLES["control"]),
)
CONTROLS = ("control_rate", "control_rate_decoded")
RULES = ("paper", "matched")  # from top to bottom within a row
RUN_COLUMNS = (*NETWORK, "epoch", "detector", "rule")

# All in inches.
MARGIN, GAP, HEADER, FOOTER = 0.2, 0.2, 0.78, 0.42
MAX_LABELS, SEED_STEP, ROW_MARGIN, DATASET_GAP = 2.1, 0.075, 0.13, 0.1


def pages(files, settings) -> list[Figure]:
    """One page, from a study's scores."""
    return [draw(read_table(files["scores"]))]


@house_style()
def draw(scores: pd.DataFrame) -> Figure:
    """One row per network, grouped by data set; one panel per rate; one point per rule and seed.

    scores: a study's score table. dataset, model, variant, seed, epoch, detector, rule ('paper' or
        'matched'), and for copies, memorized, patients_memorized, control_rate and control_rate_decoded the
        share (0 to 1) with its 95 % interval: `<name>`, `<name>_low`, `<name>_high`. NaN is left out; so is the last
        panel where no network has a decoder. Of several epochs the last is shown.

    Shares are shown in per cent; the dashed line is the expected control rate.

    Raises ValueError where columns are missing, there are no rows, or a rule is unknown.
    """
    rates = [f"{rate}{end}" for rate, *_ in PANELS for end in ("", "_low", "_high")]
    require(scores, (*RUN_COLUMNS, *rates), "scores")
    if not set(scores["rule"]) <= set(RULES):
        raise ValueError(f"scores: rule must be one of {', '.join(RULES)}, not {sorted(set(scores['rule']))}")

    scores = last_epochs(scores)
    keys = [key for key in ("model", "variant", "detector") if scores[key].nunique() > 1]
    lines, row_height = _lines(scores, keys)
    labels_width = (
        min(max(text_width(text, 7, weight) + indent for text, weight, indent, *_ in lines), MAX_LABELS) + 0.12
    )
    height = lines[-1][3] + row_height / 2
    figure = blank_page(PAGE_WIDTH, HEADER + height + FOOTER)
    left = MARGIN + labels_width
    panels = [panel for panel in PANELS if scores[panel[0]].notna().any()]
    width = (PAGE_WIDTH - MARGIN - left - (len(panels) - 1) * GAP) / len(panels)
    highest_control = scores[[f"{rate}_high" for rate in CONTROLS]].max().max()

    for text, weight, indent, middle, _ in lines:
        shown = wrap(text, labels_width - indent - 0.1, 7, weight)
        for line, part in enumerate(shown):
            baseline = HEADER + middle + 0.035 + 0.115 * (line - (len(shown) - 1) / 2)
            write(figure, MARGIN + indent, baseline, part, weight=weight)
    for number, (rate, title, subtitle, colour) in enumerate(panels):
        x = left + number * (width + GAP)
        axes = place(figure, x, HEADER, width, height)
        share_axis(axes, height, highest_control if rate in CONTROLS else 1)
        write(figure, x, HEADER - 0.21, title, size=7.5, weight="bold", color=colour)
        write(figure, x, HEADER - 0.08, fit(subtitle, width, 6), size=6, color=QUIET)
        for *_, middle, rows in lines:
            if rows is not None:
                axes.axhline(middle, color="#F3F3F3", linewidth=0.5, zorder=0)
                _points(axes, rows, rate, middle, colour)
    write(
        figure,
        left,
        HEADER + height + 0.34,
        "per cent; bars: 95 % intervals",
        color=QUIET,
        size=6,
    )
    _legend(figure, left)
    return figure


def _lines(scores: pd.DataFrame, keys: list[str]) -> tuple[list[tuple], float]:
    """The labels on the left, from top to bottom, and the height of a row of points.

    Each line is (text, weight, indent, distance of its middle from the top, its scores or None: a heading).
    """
    runs = list(scores.groupby(["dataset", *keys], sort=False, dropna=False))
    n_seeds = max(rows.groupby("rule").size().max() for _, rows in runs)
    row_height = 2 * SEED_STEP * n_seeds + ROW_MARGIN
    lines: list[tuple] = []
    top, dataset = 0.04, None
    # A data set's networks stand together, in the order in which the table names them.
    order = list(dict.fromkeys(scores["dataset"]))
    for names, rows in sorted(runs, key=lambda run: order.index(run[0][0])):
        if keys and names[0] != dataset:
            top += DATASET_GAP if lines else 0
            lines.append((names[0].replace("_", " "), "bold", 0, top + 0.09, None))
            top += 0.18
        dataset = names[0]
        network = " · ".join(names[1:])
        text, weight, indent = (network, "normal", 0.1) if keys else (dataset.replace("_", " "), "bold", 0)
        lines.append((text, weight, indent, top + row_height / 2, rows))
        top += row_height
    return lines, row_height


def _points(axes: Axes, rows: pd.DataFrame, rate: str, middle: float, colour: str) -> None:
    """Every seed's value and interval: the paper's rule above the middle, hollow; the matched rule below."""
    for rule, direction, face in (("paper", -1, "white"), ("matched", 1, colour)):
        runs = rows[rows["rule"] == rule].sort_values("seed")
        y = middle + direction * SEED_STEP * (np.arange(len(runs)) + 0.5)
        y = np.sort(y)
        value, low, high = (100 * runs[f"{rate}{end}"].to_numpy() for end in ("", "_low", "_high"))
        axes.hlines(y, low, high, color=colour, linewidth=0.9, zorder=2)
        axes.plot(value, y, "o", color=colour, markerfacecolor=face, markersize=3.6, zorder=3, clip_on=False)


def _legend(figure: Figure, left: float) -> None:
    def marker(face: str) -> Line2D:
        return Line2D([], [], color=QUIET, marker="o", markersize=3.6, markerfacecolor=face, linewidth=0.9)

    expected = Line2D([], [], **EXPECTED_LINE)
    figure.legend(
        [marker("white"), marker(QUIET), expected],
        ["paper rule", "matched rule", f"{EXPECTED_CONTROL} %: expected control rate"],
        loc="upper left",
        bbox_to_anchor=(left / PAGE_WIDTH, 1 - 0.14 / figure.get_size_inches()[1]),
        ncols=3,
        labelcolor=INK,
    )
