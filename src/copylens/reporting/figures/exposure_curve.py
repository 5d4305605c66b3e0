"""Patients exposed by the number of samples released, for every model of a data set."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from copylens.config.columns import NETWORK, RUN
from copylens.jobs.files import read_table
from copylens.reporting.page import (
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    UNTRAINED,
    blank_page,
    fit,
    house_style,
    last_epochs,
    log_ticks,
    network_name,
    paragraph,
    place,
    require,
    text_width,
    wrap,
    write,
)
from copylens.reporting.summaries import spread

COLUMNS = (
    *RUN,
    *("n_released", "n_patients"),
    *("exposed", "exposed_low", "exposed_high"),
)
COMPARISON = [*NETWORK, "detector"]
ENDS = ["exposed", "exposed_low", "exposed_high"]

# Kinds that weren't trained: (colour, dashes), which differ even without labels.
DASHED = {
    "copycat": (INK, (0, (4, 1.6))),
    "empirical_denoiser": (QUIET, (0, (2.4, 1.4))),
    "unseen": (ROLES["control"], (0, (4, 1.6))),
}
TAKEN = {"#3D3D3D", "#6BAA9A"}  # of the style's colours: too near to the copycat's and to the control's

# All in inches.
MARGIN, NUMBERS, TICKS, GAP, TOP, FOOTER = 0.2, 0.36, 0.34, 0.24, 0.12, 0.26
TITLE, WORDS_LINE, PANEL, BELOW = 0.13, 0.115, 2.3, 0.5
LABEL_SIZE, LABEL_LINE, LABEL_APART, LEAD, MAX_LABEL = 6.5, 0.105, 0.025, 0.16, 1.15


def pages(files, settings) -> list[Figure]:
    """One page, from a study's exposure curves."""
    return [draw(read_table(files["exposure"]))]


@house_style()
def draw(exposure: pd.DataFrame) -> Figure:
    """One panel per data set (and detector, if several); one line per model and variant, named at its right end.

    exposure: a study's exposure table; dataset, model, kind, variant, seed, epoch, detector, n_released (samples drawn
        at random, 1 or more), n_patients (in training), and exposed, the share (0 to 1) of these patients who have at
        least one copy among them, with its 95 % interval: exposed_low, exposed_high. Of several epochs the last is
        shown.

    Lines are means over seeds, bands the 95 % intervals (their bounds' means over seeds); models that weren't trained
    are dashed. Where all of a panel's models had the same number of patients, a second axis counts them.

    Raises ValueError where columns are missing, there are no rows without NaN, or n_released is less than 1.
    """
    require(exposure, COLUMNS, "exposure")
    if (exposure["n_released"] < 1).any():
        raise ValueError(f"exposure: n_released must be 1 or more, not {exposure['n_released'].min()}")
    last = last_epochs(exposure)[[*COMPARISON, "epoch"]]
    exposure = exposure.merge(last.drop_duplicates(), on=[*COMPARISON, "epoch"])
    exposure = exposure.dropna(subset=ENDS)
    require(exposure, COLUMNS, "exposure without NaN")

    several = exposure["detector"].nunique() > 1
    panels = []
    for (dataset, detector), rows in exposure.groupby(["dataset", "detector"], sort=False):
        name = dataset.replace("_", " ")
        panels.append((f"{name} · {detector}" if several else name, rows, _curves(rows)))
    labels = [wrap(network_name(*names), MAX_LABEL, LABEL_SIZE) for *_, curves in panels for names, *_ in curves]
    label_width = max(text_width(line, LABEL_SIZE) for lines in labels for line in lines) + LEAD + 0.06
    n_columns = min(len(panels), 2)
    cell = (PAGE_WIDTH - 2 * MARGIN + GAP) / n_columns
    counted = any(rows["n_patients"].nunique() == 1 for _, rows, _ in panels)
    indent = NUMBERS * counted + TICKS
    width = cell - GAP - indent - label_width
    colour_of = _colours(exposure)
    words = [paragraph(_words(rows, curves), cell - GAP, 6.5) for _, rows, curves in panels]
    header = TITLE + WORDS_LINE * max(map(len, words)) + 0.27
    room = max(sum(LABEL_LINE * 2 + LABEL_APART for _ in curves) for *_, curves in panels)
    panel = max(PANEL, room if any(len(lines) > 1 for lines in labels) else 0.6 * room)
    block = header + panel + BELOW
    figure = blank_page(PAGE_WIDTH, TOP + -(-len(panels) // n_columns) * block + FOOTER)

    for number, ((title, rows, curves), lines) in enumerate(zip(panels, words, strict=True)):
        row, column = divmod(number, n_columns)
        left, top = MARGIN + column * cell, TOP + row * block + TITLE
        write(figure, left, top, fit(title, cell - GAP, 7.5, "bold"), size=7.5, weight="bold")
        for line, text in enumerate(lines):
            write(figure, left, top + 0.13 + WORDS_LINE * line, text, size=6.5, color=QUIET)
        axes = place(figure, left + indent, TOP + row * block + header, width, panel)
        _frame(axes, rows, left + NUMBERS * counted, TOP + row * block + header - 0.09)
        _lines(axes, curves, colour_of)
    note = "Matched rule, last epoch. Lines: means over seeds; bands: 95 % intervals. Dashed: not trained."
    bottom = figure.get_size_inches()[1]
    write(figure, MARGIN, bottom - 0.14, fit(note, PAGE_WIDTH - 2 * MARGIN, 6), size=6, color=QUIET)
    return figure


def _colours(exposure: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A colour for each (model, variant) that was trained, the same in all panels."""
    names = exposure[~exposure["kind"].isin(DASHED)].groupby(["model", "variant"], sort=False).size().index
    cycle = (f"#{colour.strip('#')}" for colour in rcParams["axes.prop_cycle"].by_key()["color"])
    colours = [colour for colour in cycle if colour not in TAKEN]
    return {name: colours[number % len(colours)] for number, name in enumerate(names)}


def _curves(rows: pd.DataFrame) -> list[tuple]:
    """((model, variant), kind, means over seeds by n_released) of every line, in the table's order."""
    return [
        (names, of_model["kind"].iloc[0], of_model.groupby("n_released")[ENDS].mean())
        for names, of_model in rows.groupby(["model", "variant"], sort=False)
    ]


def _words(rows: pd.DataFrame, curves: list[tuple]) -> str:
    """The exposure by the model that exposes most, in a sentence; a trained one if there is any."""
    trained = [curve for curve in curves if curve[1] not in UNTRAINED] or curves
    (model, variant), _, worst = max(trained, key=lambda curve: curve[2]["exposed"].iloc[-1])
    n_released, exposed = worst.index[-1], worst["exposed"].iloc[-1]
    text = f"{n_released:,} samples of {network_name(model, variant)} expose {100 * exposed:.0f} % of its patients"
    n_patients = rows[(rows["model"] == model) & (rows["variant"] == variant)]["n_patients"]
    if n_patients.nunique() == 1:
        text += f", {exposed * n_patients.iloc[0]:,.0f} of {n_patients.iloc[0]:,}"
    half = worst.index[worst["exposed"] >= 0.5]
    return f"{text}; {half[0]:,} expose half." if len(half) and half[0] < n_released else f"{text}."


def _frame(axes: Axes, rows: pd.DataFrame, left: float, above: float) -> None:
    """Samples on a logarithmic axis, patients in per cent and, where their number is the same for all, counted."""
    figure = axes.figure
    most = rows["n_released"].max()
    low, high = rows["n_released"].min() / most**0.02, max(most, 2) * most**0.02
    axes.set(xscale="log", xlim=(low, high), ylim=(-3, 103), yticks=[0, 25, 50, 75, 100])
    inches = axes.bbox.width / figure.dpi
    ticks = log_ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: 1 + (len(ticks) * 0.36 > inches)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    axes.spines["left"].set_bounds(0, 100)
    axes.grid()
    axes.set_xlabel(fit("samples released (log)", inches, 7))
    n_patients = int(rows["n_patients"].iloc[0])
    counted = rows["n_patients"].nunique() == 1
    heading = f"patients exposed: number of {n_patients:,}, and per cent" if counted else "patients exposed, per cent"
    write(figure, left - NUMBERS * counted, above, heading, size=6.5, color=QUIET)
    if counted:
        scale = n_patients / 100
        numbers = axes.secondary_yaxis(-TICKS / inches, functions=(lambda y: y * scale, lambda y: y / scale))
        whole = MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]).tick_values(0, n_patients)
        numbers.yaxis.set_major_locator(FixedLocator([tick for tick in whole if 0 <= tick <= n_patients]))
        numbers.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
        numbers.spines["left"].set_visible(True)
        numbers.spines["left"].set_bounds(0, n_patients)
        numbers.tick_params(labelcolor=QUIET)


def _lines(axes: Axes, curves: list[tuple], colour_of: dict[tuple[str, str], str]) -> None:
    """Bands and lines, and at the right edge their names, joined to the lines' ends where these are elsewhere."""
    alpha = min(0.12, 0.8 / len(curves))
    width, height = axes.bbox.size / axes.figure.dpi
    ends, labels = [], []
    for (model, variant), kind, means in curves:
        colour, dashes = DASHED.get(kind) or (colour_of[model, variant], "solid")
        per_cent = 100 * means
        axes.fill_between(
            means.index, per_cent["exposed_low"], per_cent["exposed_high"], color=colour, alpha=alpha, lw=0
        )
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "clip_on": False}
        if len(means) == 1:
            style |= {"marker": "o", "markersize": 3}
        axes.plot(means.index, per_cent["exposed"], linewidth=1 if kind in DASHED else 1.3, zorder=3, **style)
        end = axes.transData.transform((means.index[-1], per_cent["exposed"].iloc[-1])) - axes.bbox.p0
        ends.append(end / axes.figure.dpi)
        labels.append((wrap(network_name(model, variant), MAX_LABEL, LABEL_SIZE), colour))
    heights = [LABEL_LINE * len(lines) + LABEL_APART for lines, _ in labels]
    middles = spread(np.array([end[1] for end in ends]), heights, -0.06, height + 0.06)
    for end, middle, (lines, colour) in zip(ends, middles, labels, strict=True):
        # Along the line's height to the panel's edge, then across to the name.
        across = np.array([end[0], max(end[0], width + 0.02), width + LEAD - 0.03]) / width
        up = np.array([end[1], end[1], middle]) / height
        axes.add_line(
            Line2D(across, up, transform=axes.transAxes, clip_on=False, zorder=2, color=colour, linewidth=0.5)
        )
        for line, text in enumerate(lines):
            y = middle + LABEL_LINE * ((len(lines) - 1) / 2 - line) - 0.032
            x = (width + LEAD) / width
            axes.text(x, y / height, text, transform=axes.transAxes, size=LABEL_SIZE, va="baseline")
