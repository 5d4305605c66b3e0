"""How detectors fare the more a copy is changed: a panel per family of changes, against the severity."""

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copylens.reporting import tables
from copylens.reporting.page import (
    EXPECTED_CONTROL,
    EXPECTED_LINE,
    PAGE_WIDTH,
    QUIET,
    blank_page,
    draw_legend,
    fit,
    house_style,
    line_legend,
    place,
    require,
    write,
)

METRICS = ("auroc", "sensitivity", "false_positives")
COLUMNS = ("dataset", "detector", "transform", "group", "n_copies", "n_controls", *METRICS)
# Title, metric, its floor and its ceiling on the axis, and how its values are multiplied.
PAGES = (
    ("AUROC of copies against controls", "auroc", 0.45, 1.02, 1),
    ("copies found, %, and false positives (open circles), matched rule", "sensitivity", -3, 103, 100),
)
N_COLUMNS = 6

# All in inches.
MARGIN, TICKS, GAP = 0.2, 0.28, 0.08
HEADER, TITLE, PANEL, BELOW = 0.3, 0.16, 0.78, 0.3


def pages(files, settings) -> list[Figure]:
    """The pages, from the benchmarks of a study's data sets."""
    return draw(tables.benchmarks(settings["datasets"], settings["detectors"], files["benchmarks"]))


@house_style()
def draw(benchmark: pd.DataFrame) -> list[Figure]:
    """Two pages per data set: AUROC, and the shares of copies and of control images above the matched threshold.

    benchmark: dataset, detector, transform, group, n_copies, n_controls, and auroc, sensitivity and false_positives as
        shares (0 to 1). Transforms that are no family at a severity don't count. Families come in the table's order,
        their mean last.

    Raises ValueError where columns are missing, and where no transform is a family at a severity.
    """
    require(benchmark, COLUMNS, "benchmark")
    table = tables.by_severity(benchmark)
    require(table, COLUMNS, "benchmark of families (planted.families in the configuration)")
    return [
        _page(dataset, of_dataset, *page)
        for dataset, of_dataset in table.groupby("dataset", sort=False)
        for page in PAGES
    ]


def _page(dataset: str, table: pd.DataFrame, title: str, metric: str, low: float, high: float, times: int) -> Figure:
    families, detectors = (list(dict.fromkeys(table[column])) for column in ("family", "detector"))
    colours = rcParams["axes.prop_cycle"].by_key()["color"]
    colour_of = {name: colours[number % len(colours)] for number, name in enumerate(detectors)}
    entries = line_legend([name.replace("_", " ") for name in detectors], MARGIN, HEADER + 0.12)
    top = entries[-1][1] + 0.1
    n_lines = -(-len(families) // N_COLUMNS)
    cell = (PAGE_WIDTH - 2 * MARGIN - TICKS) / N_COLUMNS
    figure = blank_page(PAGE_WIDTH, top + n_lines * (TITLE + PANEL + BELOW) + 0.2)
    heading = f"{dataset.replace('_', ' ')} · {title}"
    write(figure, MARGIN, 0.2, fit(heading, PAGE_WIDTH - 2 * MARGIN, 7.5, "bold"), size=7.5, weight="bold")
    draw_legend(figure, entries, {name.replace("_", " "): colour for name, colour in colour_of.items()})
    for number, family in enumerate(families):
        line, column = divmod(number, N_COLUMNS)
        left, above = MARGIN + TICKS + column * cell, top + line * (TITLE + PANEL + BELOW)
        weight = "bold" if family == "mean" else "normal"
        write(
            figure, left, above + TITLE - 0.05, fit(family.replace("_", " "), cell - GAP, 6.5), size=6.5, weight=weight
        )
        axes = place(figure, left, above + TITLE, cell - GAP, PANEL)
        _panel(axes, table[table["family"] == family], metric, times, colour_of)
        severities = sorted(table["severity"].unique())
        axes.set(ylim=(low, high), xlim=(0, 1.05), xticks=severities)
        axes.set_xticklabels([f"{severity:g}".lstrip("0") for severity in severities], size=5.5)
        axes.tick_params(axis="y", labelsize=5.5)
        if column:
            axes.set_yticklabels([])
        axes.grid(axis="y")
    note = (
        f"x: severity. {int(table['n_copies'].max())} copies and {int(table['n_controls'].max())} control images each."
    )
    write(figure, MARGIN, top + n_lines * (TITLE + PANEL + BELOW) + 0.1, note, size=6, color=QUIET)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, metric: str, times: int, colour_of: dict[str, str]) -> None:
    if metric == "sensitivity":
        axes.axhline(EXPECTED_CONTROL, **EXPECTED_LINE)
    for detector, curve in rows.groupby("detector", sort=False):
        style = {"color": colour_of[str(detector)], "linewidth": 1.1, "marker": "o", "markersize": 2.2}
        axes.plot(curve["severity"], times * curve[metric], **style)
        if metric == "sensitivity":
            axes.plot(
                curve["severity"],
                times * curve["false_positives"],
                **style | {"markerfacecolor": "white", "linestyle": "--"},
            )
