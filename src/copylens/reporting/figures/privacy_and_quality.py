"""Copies against the distance to held-out patients: what each recipe costs, what it buys, and the verdict on it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
from copylens.reporting.labels import name_points
from copylens.reporting.page import (
    INK,
    PAGE_WIDTH,
    QUIET,
    UNTRAINED,
    blank_page,
    fit,
    house_style,
    network_name,
    paragraph,
    place,
    require,
    write,
)
from copylens.reporting.summaries import pareto_front, recipe_means
from copylens.reporting.trade_off import FRONT_LINE, REAL_LINE, draw_lines, frame

DISTANCE = "frechet_distance_held_out"
COLUMNS = (*NETWORK, "kind", "verdict", "copies", "copies_low", "copies_high", DISTANCE, f"{DISTANCE}_real")
# Marker and colour of each verdict.
VERDICTS = {"FAIL": ("X", "#9C2B15"), "NOT ABLE TO SAY": ("^", "#B07A10"), "PASS": ("o", "#17603C")}
COPYCAT = (
    "The copycat replays training images. Neither its distance to held-out patients nor its usefulness tells them from "
    "new patients' images; "
)

# All in inches.
MARGIN, TICKS, RIGHT, TOP = 0.2, 0.38, 0.12, 0.52
TITLE, PANEL, BELOW, NOTE_LINE = 0.12, 3.6, 0.5, 0.15


def pages(files, settings) -> list[Figure]:
    """One page, from a study's mitigations."""
    return [draw(read_table(files["mitigations"]))]


@house_style()
def draw(mitigations: pd.DataFrame) -> Figure:
    """One panel per data set, one point per model and variant.

    mitigations: the table of `copylens.auditing.mitigations`; dataset, model, kind, variant, seed, verdict, copies with
        its interval (shares), the Frechet distance to held-out patients, and that of real images in the samples' place.

    Points are means over seeds. Thick bars are 95 % t-intervals over seeds, in both directions; thin ones the audits'
    own intervals, over patients, means over seeds. The marker is the worst verdict of the seeds. The step line joins
    the trained recipes that no other trained one beats in both.

    Raises ValueError where columns or rows are missing.
    """
    require(mitigations, COLUMNS, "mitigations")
    table = mitigations.dropna(subset=["copies", DISTANCE])
    require(table, (), "mitigations with copies and a distance")
    names = zip(table["model"], table["variant"], strict=True)
    table = table.assign(recipe=[network_name(*name) for name in names], value=table[DISTANCE])
    groups = list(table.groupby("dataset", sort=False))
    width = PAGE_WIDTH - 2 * MARGIN - TICKS - RIGHT
    verdicts = table.loc[table["kind"] == "copycat", "verdict"]
    texts = (
        [f"{COPYCAT}{'the audit does.' if verdicts.eq('FAIL').all() else 'see its verdict.'}"] if len(verdicts) else []
    )
    notes = [line for text in texts for line in paragraph(text, PAGE_WIDTH - 2 * MARGIN, 7)]
    block = TITLE + PANEL + BELOW
    figure = blank_page(PAGE_WIDTH, TOP + len(groups) * block + NOTE_LINE * len(notes) + 0.1)
    for row, (dataset, group) in enumerate(groups):
        title = fit(dataset.replace("_", " "), width, 7.5, "bold")
        write(figure, MARGIN + TICKS, TOP + row * block, title, size=7.5, weight="bold")
        _panel(place(figure, MARGIN + TICKS, TOP + row * block + TITLE, width, PANEL), group)
    for line, text in enumerate(notes):
        write(figure, MARGIN, TOP + len(groups) * block + NOTE_LINE * line, text)
    _legend(figure)
    return figure


def _panel(axes: Axes, group: pd.DataFrame) -> None:
    means, real = recipe_means(group), group[f"{DISTANCE}_real"].mean()
    for name in ("copies_least", "copies_most"):  # an interval over seeds may leave what is possible
        means[name] = means[name].clip(0, 1)
    means["value_least"] = means["value_least"].clip(lower=means["value"].min() / 3)
    _frame(axes, means, real)
    segments = draw_lines(axes, pareto_front(means[~means["kind"].isin(UNTRAINED)]), real)
    bars = []
    for point in means.itertuples():
        marker, colour = VERDICTS[point.verdict]
        x, y = point.value, 100 * point.copies
        own = [
            ([(point.value_least, y), (point.value_most, y)], 1.1),
            ([(x, 100 * point.copies_least), (x, 100 * point.copies_most)], 1.1),
            ([(x, 100 * point.copies_low), (x, 100 * point.copies_high)], 0.45),
        ]
        bars += [bar for bar, _ in own]
        for bar, linewidth in own:
            axes.plot(*zip(*bar, strict=True), color=colour, linewidth=linewidth, zorder=3)
        face = "white" if point.kind in UNTRAINED else colour
        axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=5, zorder=4, clip_on=False)

    places = [(point.value, 100 * point.copies) for point in means.itertuples()]
    name_points(axes, list(means["recipe"]), places, bars, segments)


def _frame(axes: Axes, means: pd.DataFrame, real: float) -> None:
    """A logarithmic axis that holds every bar, and copies from 0 to the highest bar."""
    distances = pd.Series([*means["value_least"], *means["value_most"], *([real] if real > 0 else [])])
    highest = 100 * means[["copies_most", "copies_high", "copies"]].max(axis=None)
    frame(axes, distances, min(100, 10 * np.ceil((highest + 2) / 10)))
    axes.set_ylabel("copies, per cent of synthetic images, corrected")
    axes.set_xlabel("Fréchet distance to patients who weren't trained on (log; lower is better)")


def _legend(figure: Figure) -> None:
    verdicts = [
        (verdict, Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=0))
        for verdict, (marker, colour) in reversed(VERDICTS.items())
    ]
    hollow = Line2D([], [], color=QUIET, marker="o", markersize=5, markerfacecolor="white", linewidth=0)
    lines = [
        ("best trade-off", Line2D([], [], **FRONT_LINE)),
        ("real images in the samples' place", Line2D([], [], **REAL_LINE)),
        ("95 % over seeds", Line2D([], [], color=QUIET, linewidth=1.1)),
        ("95 % over patients, by the audit", Line2D([], [], color=QUIET, linewidth=0.45)),
    ]
    height = figure.get_size_inches()[1]
    for top, row in ((0.06, [*verdicts, ("not trained", hollow)]), (0.21, lines)):
        figure.legend(
            [handle for _, handle in row],
            [name for name, _ in row],
            loc="upper left",
            bbox_to_anchor=((MARGIN + TICKS) / PAGE_WIDTH, 1 - top / height),
            ncols=len(row),
            labelcolor=INK,
        )
