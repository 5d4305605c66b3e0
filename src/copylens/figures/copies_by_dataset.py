"""Copies, memorized images and memorized patients, with intervals, beside the control rate."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.figures import (
    FAINT,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    place,
    require,
    write,
)

RUN = ("dataset", "model", "variant", "seed", "detector", "rule")
# Panel title, column, colour.
PANELS = (
    ("Copies", "copies", ROLES["synthetic"]),
    ("Memorized images", "memorized", ROLES["training"]),
    ("Memorized patients", "patients_memorized", ROLES["training"]),
    ("Control rate", "control_rate", ROLES["control"]),
)
SUBTITLES = ("of the synthetic", "of the training images", "of the training patients", "of held-out images")
NOMINAL = 5  # per cent: what a rule that accuses nobody falsely says of control images

# All in inches.
LABELS, RIGHT, GAP, HEADER, FOOTER, ROW = 1.75, 0.15, 0.18, 0.85, 0.62, 0.34


@house_style()
def draw(scores: pd.DataFrame) -> Figure:
    """One row per network, one panel per rate: matched rule (filled), paper's rule (hollow), 95 % intervals.

    scores: the table results/scores/{study}.csv; rates are shares 0 to 1, drawn in per cent. Seeds of one network
    share a row.

    Raises ValueError where columns are missing or there is no row.
    """
    rates = [f"{column}{end}" for _, column, _ in PANELS for end in ("", "_low", "_high")]
    require(scores, (*RUN, *rates), "scores")
    labels = _labels(scores)
    rows = list(dict.fromkeys(labels))
    figure = blank_page(PAGE_WIDTH, HEADER + ROW * len(rows) + FOOTER)
    write(figure, 0.15, 0.22, "How much is copied", size=9, weight="bold")
    width = (PAGE_WIDTH - LABELS - RIGHT - GAP * (len(PANELS) - 1)) / len(PANELS)
    for number, ((title, column, colour), subtitle) in enumerate(zip(PANELS, SUBTITLES, strict=True)):
        axes = place(figure, LABELS + number * (width + GAP), HEADER, width, ROW * len(rows))
        axes.axvline(NOMINAL, color=QUIET, linewidth=0.6, linestyle=(0, (1, 2)))
        for row, label in enumerate(rows):
            of_row = scores[labels == label]
            for rule, offset, filled in (("matched", -0.13, True), ("paper", 0.17, False)):
                _points(axes, of_row[of_row["rule"] == rule], column, row + offset, colour, filled)
        axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=np.arange(len(rows)))
        axes.set_yticklabels([fit(label, LABELS - 0.25, 6.5) for label in rows] if number == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_color(FAINT)
        highest = 100 * np.nanmax(scores[f"{column}_high"].to_numpy())
        axes.set_xlim(0, 105 if column != "control_rate" else max(20, 1.1 * highest))
        axes.set_xlabel("%")
        left = LABELS + number * (width + GAP)
        write(figure, left, HEADER - 0.24, title, size=7.5, weight="bold")
        write(figure, left, HEADER - 0.1, subtitle, size=6, color=QUIET)
    handles = [
        Line2D([], [], color=QUIET, marker="o", markersize=4, linewidth=1, label="matched rule"),
        Line2D(
            [],
            [],
            color=QUIET,
            marker="o",
            markersize=4,
            linewidth=1,
            markerfacecolor="white",
            label="paper's rule",
        ),
        Line2D([], [], color=QUIET, linewidth=0.6, linestyle=(0, (1, 2)), label="5 %"),
    ]
    figure.legend(handles=handles, loc="lower right", ncols=3, frameon=False, fontsize=6.5)
    return figure


def _points(axes, rows: pd.DataFrame, column: str, height: float, colour: str, filled: bool) -> None:
    """One point and interval per seed, seeds side by side within their row."""
    shifts = np.linspace(-0.08, 0.08, len(rows)) if len(rows) > 1 else [0.0]
    for shift, (value, low, high) in zip(
        shifts, 100 * rows[[column, f"{column}_low", f"{column}_high"]].to_numpy(float), strict=True
    ):
        if np.isnan(value):
            continue
        axes.plot([low, high], [height + shift] * 2, color=colour, linewidth=1, alpha=0.75)
        face = colour if filled else "white"
        axes.plot(value, height + shift, "o", color=colour, markersize=4, markerfacecolor=face, clip_on=False)


def _labels(scores: pd.DataFrame) -> pd.Series:
    """The name of each row's network: the data set, and of model, variant and detector what differs in the table."""
    label = scores["dataset"].str.replace("_", " ")
    for column in ("model", "variant", "detector"):
        if scores[column].nunique() > 1:
            label = label + " · " + scores[column].astype(str)
    return label
