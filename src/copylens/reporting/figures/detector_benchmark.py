"""The detectors' sensitivity and false positive rate by transform of planted copies, one heat map per data set."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from copylens.reporting import tables
from copylens.reporting.page import (
    EXPECTED_CONTROL,
    INK,
    PAGE_WIDTH,
    QUIET,
    blank_page,
    fit,
    house_style,
    place,
    require,
    text_width,
    write,
)


class Panel(NamedTuple):
    """One metric of the benchmark as a heat map."""

    metric: str
    title: str
    subtitle: str
    limits: tuple[float, float]  # values that are white and in full colour
    colour: str

    def shade(self, value: float) -> float:
        """From 0, white, to 1."""
        low, high = self.limits
        return float(np.clip((value - low) / (high - low), 0, 1))

    def text(self, value: float) -> str:
        """Rounded down where 1 is the best, so that only 1 is shown as 1; else per cent."""
        if self.metric != "auroc":
            return f"{100 * value:.0f}"
        text = f"{np.floor(100 * value + 1e-9) / 100:.2f}".lstrip("0")
        return "1" if text == "1.00" else text


PANELS = (
    Panel("auroc", "AUROC", "copies against controls", (0.5, 1.0), "#33658A"),
    Panel("sensitivity", "Sensitivity", "% of copies, matched rule", (0.0, 1.0), "#33658A"),
    Panel(
        "false_positives", "False positives", "% of controls, same transform", (EXPECTED_CONTROL / 100, 0.25), "#C8553D"
    ),
)
COLUMNS = ("dataset", "detector", "transform", "group", "n_copies", "n_controls", *(panel.metric for panel in PANELS))

# All in inches.
MARGIN, GAP, CELL, HEADER, FOOTER, GROUP_GAP, MAX_BODY = 0.2, 0.22, 0.145, 0.5, 0.3, 0.08, 10.2
NAMES = 1.0  # height of the upright names of detectors


def pages(files, settings) -> list[Figure]:
    """The pages, from the benchmarks of a study's data sets."""
    return draw(tables.benchmarks(settings["datasets"], settings["detectors"], files["benchmarks"]))


@house_style()
def draw(benchmark: pd.DataFrame) -> list[Figure]:
    """One page per data set: a row per transform, the mean of each group below it, a column per detector.

    benchmark: dataset, detector, transform, group (rigid, hard or round trip), n_copies, n_controls, and auroc,
        sensitivity and false_positives as shares (0 to 1). Rows and columns come in the table's order.

    Raises ValueError where columns are missing or there are no rows.
    """
    require(benchmark, COLUMNS, "benchmark")
    return [_page(dataset, of_dataset) for dataset, of_dataset in benchmark.groupby("dataset", sort=False)]


def _page(dataset: str, benchmark: pd.DataFrame) -> Figure:
    detectors = list(dict.fromkeys(benchmark["detector"]))
    rows = _rows(benchmark)
    tops, top = [], 0.0
    for number, (_, _, is_mean) in enumerate(rows):
        tops.append(top)
        top += CELL + (GROUP_GAP if is_mean and number + 1 < len(rows) else 0)
    cell = min(1.0, MAX_BODY / (top + HEADER + NAMES + FOOTER))
    labels = max(text_width(name, 6.5, "bold") for name, *_ in rows) + 0.1
    width = (PAGE_WIDTH - 2 * MARGIN - labels - (len(PANELS) - 1) * GAP) / len(PANELS)
    body = cell * top
    figure = blank_page(PAGE_WIDTH, HEADER + NAMES + body + FOOTER)
    heading = f"{dataset.replace('_', ' ')} · planted copies"
    write(figure, MARGIN, 0.2, fit(heading, PAGE_WIDTH - 2 * MARGIN, 7.5, "bold"), size=7.5, weight="bold")
    for (name, _, is_mean), at in zip(rows, tops, strict=True):
        weight = "bold" if is_mean else "normal"
        write(figure, MARGIN, HEADER + NAMES + cell * (at + CELL * 0.72), name, size=6.5, weight=weight)
    for number, panel in enumerate(PANELS):
        left = MARGIN + labels + number * (width + GAP)
        write(figure, left, HEADER - 0.08, panel.title, size=7, weight="bold")
        write(figure, left, HEADER + 0.03, fit(panel.subtitle, width, 6), size=6, color=QUIET)
        axes = place(figure, left, HEADER + NAMES, width, body)
        axes.set(xlim=(0, len(detectors)), ylim=(top, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for column, detector in enumerate(detectors):
            name = fit(detector.replace("_", " "), NAMES - 0.1, 6)
            axes.text(column + 0.5, -0.05, name, rotation=90, ha="center", va="bottom", size=6, color=INK)
            by_transform = benchmark[benchmark["detector"] == detector].set_index("transform")[panel.metric]
            for (_, members, is_mean), at in zip(rows, tops, strict=True):
                value = float(np.mean(by_transform.reindex(members).to_numpy()))
                _cell(axes, panel, (column, at), value, "bold" if is_mean else "normal")
    note = f"{int(benchmark['n_copies'].max())} copies and {int(benchmark['n_controls'].max())} control images of each"
    write(figure, MARGIN, HEADER + NAMES + body + 0.18, f"{note} transform.", size=6, color=QUIET)
    return figure


def _rows(benchmark: pd.DataFrame) -> list[tuple[str, list[str], bool]]:
    """(name, transforms, whether it is a mean), group after group."""
    rows = []
    for group, of_group in benchmark.groupby("group", sort=False):
        members = list(dict.fromkeys(of_group["transform"]))
        rows += [(name.replace("_", " "), [name], False) for name in members]
        rows.append((f"mean, {group}", members, True))
    return rows


def _cell(axes: Axes, panel: Panel, corner: tuple[int, float], value: float, weight: str) -> None:
    if np.isnan(value):
        return
    (column, top), shade = corner, panel.shade(value)
    colour = LinearSegmentedColormap.from_list(panel.metric, ["#FFFFFF", panel.colour])(shade)
    axes.fill_between([column + 0.03, column + 0.97], top, top + CELL, color=colour, lw=0)
    style = {"size": 5.5, "color": "white" if shade > 0.55 else INK, "weight": weight}
    axes.text(column + 0.5, top + CELL / 2, panel.text(value), ha="center", va="center_baseline", **style)
