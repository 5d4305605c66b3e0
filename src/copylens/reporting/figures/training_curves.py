"""Losses over training, one panel per data set and network."""

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from copylens.reporting import tables
from copylens.reporting.page import (
    PAGE_WIDTH,
    QUIET,
    blank_page,
    draw_legend,
    fit,
    house_style,
    line_legend,
    log_ticks,
    place,
    require,
    tick_number,
    wrap,
    write,
)

COLUMNS = ("panel", "network", "step", "name", "value")

# All in inches.
MARGIN, TICKS, GAP = 0.2, 0.42, 0.14
PANEL, NETWORK_LINE, ROW, BELOW = 0.2, 0.115, 1.12, 0.54
MAX_COLUMNS = 4


def pages(files, settings) -> list[Figure]:
    """One page, from the losses of a study's networks."""
    return [draw(tables.training_curves(settings["networks"], files["losses"]))]


@house_style()
def draw(losses: pd.DataFrame) -> Figure:
    """Rows of panels are data sets, columns are networks.

    losses: one row per logged value, in the order of training; panel (e.g. 'chest xray'), network (e.g.
        'ldm'), step (optimizer steps), name (of the loss) and value (finite or NaN). Where a network's steps
        begin again, another run (seed) begins, which is a line of its own.

    Each loss is drawn thin, with its running mean over a twentieth of the training on top. Losses that are
    positive throughout a panel are on a logarithmic scale.

    Raises ValueError where columns are missing or there are no rows.
    """
    require(losses, COLUMNS, "losses")
    panels, networks, names = (list(dict.fromkeys(losses[column])) for column in ("panel", "network", "name"))
    colours = rcParams["axes.prop_cycle"].by_key()["color"]
    colour_of = {name: colours[number % len(colours)] for number, name in enumerate(names)}

    n_lines = -(-len(networks) // MAX_COLUMNS)
    n_columns = -(-len(networks) // n_lines)
    cell = (PAGE_WIDTH - 2 * MARGIN) / max(n_columns, 2)
    entries = line_legend(names, MARGIN, 0.24)
    legend_height = entries[-1][1] + 0.32
    blocks = [(panel, networks[at : at + n_columns]) for panel in panels for at in range(0, len(networks), n_columns)]
    width = cell - TICKS - GAP
    titles = {network: wrap(network, width, 7) for network in networks}
    above = NETWORK_LINE * max(map(len, titles.values()))
    # A panel's further lines of networks stand under the same heading.
    headings = [PANEL if shown[0] == networks[0] else 0 for _, shown in blocks]
    tops = legend_height + np.cumsum([0, *(heading + above + ROW + BELOW for heading in headings)])
    figure = blank_page(PAGE_WIDTH, tops[-1])
    draw_legend(figure, entries, colour_of)
    for (panel, shown), heading, top in zip(blocks, headings, tops[:-1], strict=True):
        if heading:
            write(figure, MARGIN, top, fit(panel, PAGE_WIDTH - 2 * MARGIN, 8, "bold"), size=8, weight="bold")
        for column, network in enumerate(shown):
            left = MARGIN + column * cell + TICKS
            rows = losses[(losses["panel"] == panel) & (losses["network"] == network)]
            if rows.empty:
                continue
            for line, part in enumerate(reversed(titles[network])):
                write(figure, left, top + heading + above - 0.06 - NETWORK_LINE * line, part, color=QUIET)
            axes = place(figure, left, top + heading + above, width, ROW)
            _curves(axes, rows, colour_of)
            axes.set_xlabel("step")
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, colour_of: dict[str, str]) -> None:
    for name, curve in rows.dropna(subset="value").groupby("name", sort=False):
        for _, run in curve.groupby((curve["step"].diff() <= 0).cumsum()):
            smooth = run["value"].rolling(max(1, len(run) // 20), center=True, min_periods=1).mean()
            axes.plot(run["step"], run["value"], color=colour_of[name], linewidth=0.5, alpha=0.3)
            axes.plot(run["step"], smooth, color=colour_of[name], linewidth=1.1)
    if (rows["value"].dropna() > 0).all():
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(tick_number))
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: _steps(step)))
    axes.grid(axis="y")


def _steps(step: float) -> str:
    return f"{step / 1000:g}k" if abs(step) >= 10000 else f"{step:,.0f}"
