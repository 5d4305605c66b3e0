"""How near images come to the training images: synthetic, calibration and control, with both rules' thresholds."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from copylens.figures import (
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    RULE_LINES,
    blank_page,
    fit,
    house_style,
    place,
    require,
    write,
)

CORRELATION_COLUMNS = ("panel", "group", "correlation")
THRESHOLD_COLUMNS = ("panel", "rule", "tau", "copies", "control_rate")
# Colour, line and filling of each group; what has been through the decoder is dotted.
GROUPS = {
    "calibration": (ROLES["calibration"], "solid", False),
    "control": (ROLES["control"], "solid", False),
    "control, decoded": (ROLES["control"], (0, (1, 1.2)), False),
    "synthetic": (ROLES["synthetic"], "solid", True),
}

# All in inches.
LEFT, RIGHT, HEADER, FOOTER = 0.45, 1.95, 0.55, 0.5
PANEL_HEIGHT, PANEL_GAP = 1.05, 0.42
BINS = 48


@house_style()
def draw(correlations: pd.DataFrame, thresholds: pd.DataFrame) -> Figure:
    """One panel per network: densities of each image's correlation with its nearest training image.

    correlations: panel, group ('synthetic', 'calibration', 'control', 'control, decoded'), correlation.
    thresholds: panel, rule ('paper' or 'matched'), tau, copies and control_rate (shares).

    Raises ValueError where columns are missing or there is no row.
    """
    require(correlations, CORRELATION_COLUMNS, "correlations")
    require(thresholds, THRESHOLD_COLUMNS, "thresholds")
    panels = list(dict.fromkeys(correlations["panel"]))
    height = HEADER + len(panels) * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOTER
    figure = blank_page(PAGE_WIDTH, height)
    write(figure, LEFT, 0.22, "Correlation with the nearest training image", size=9, weight="bold")
    low = correlations["correlation"].min() - 0.02
    edges = np.linspace(low, 1.0, BINS + 1)
    width = PAGE_WIDTH - LEFT - RIGHT
    for number, panel in enumerate(panels):
        top = HEADER + number * (PANEL_HEIGHT + PANEL_GAP)
        axes = place(figure, LEFT, top, width, PANEL_HEIGHT)
        axes.set_title(fit(panel, width, 7.5, "bold"))
        of_panel = correlations[correlations["panel"] == panel]
        for group, (colour, line, filled) in GROUPS.items():
            values = of_panel.loc[of_panel["group"] == group, "correlation"]
            if len(values):
                density = np.histogram(values, edges, density=True)[0]
                axes.stairs(density, edges, color=colour, linestyle=line, linewidth=1.1, label=group)
                if filled:
                    axes.stairs(density, edges, color=colour, alpha=0.22, fill=True)
        rules = thresholds[thresholds["panel"] == panel]
        for rule in rules.itertuples():
            axes.axvline(rule.tau, color=ROLES["threshold"], linestyle=RULE_LINES[rule.rule], linewidth=0.8)
        axes.set(xlim=(low, 1.0), yticks=[])
        axes.spines["left"].set_visible(False)
        _describe(figure, PAGE_WIDTH - RIGHT + 0.15, top, rules)
        if number == len(panels) - 1:
            axes.set_xlabel("correlation")
            figure.legend(
                *axes.get_legend_handles_labels(),
                loc="lower left",
                bbox_to_anchor=((LEFT - 0.05) / PAGE_WIDTH, 0),
                ncols=4,
                frameon=False,
                fontsize=6.5,
            )
    return figure


def _describe(figure: Figure, left: float, top: float, rules: pd.DataFrame) -> None:
    """Both rules beside a panel, so that no text meets a line: threshold, copies, control rate."""
    columns = (left + 0.62, left + 1.1, left + 1.62)
    for place_of, heading in zip(columns, ("threshold", "copies", "control"), strict=True):
        write(figure, place_of, top + 0.15, heading, size=6, color=QUIET, ha="right")
    for line, rule in enumerate(rules.sort_values("rule").itertuples()):
        height = top + 0.38 + 0.22 * line
        page_width, page_height = figure.get_size_inches()
        figure.add_artist(_sample_line(left / page_width, 1 - (height - 0.03) / page_height, page_width, rule.rule))
        write(figure, left, height + 0.1, rule.rule, size=6, color=QUIET)
        texts = (f"{rule.tau:.3f}", f"{100 * rule.copies:.1f} %", f"{100 * rule.control_rate:.1f} %")
        for place_of, text in zip(columns, texts, strict=True):
            write(figure, place_of, height, text, size=7, color=INK, ha="right")


def _sample_line(left: float, bottom: float, page_width: float, rule: str):
    from matplotlib.lines import Line2D

    return Line2D(
        [left, left + 0.22 / page_width],
        [bottom, bottom],
        color=ROLES["threshold"],
        linestyle=RULE_LINES[rule],
        linewidth=0.9,
    )
