"""Copies against Frechet distance: the trade-off of memorization and image quality."""

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import STATE
from copylens.jobs.files import read_table
from copylens.reporting.labels import name_points
from copylens.reporting.page import (
    EXPECTED_CONTROL,
    EXPECTED_LINE,
    INK,
    PAGE_WIDTH,
    QUIET,
    UNTRAINED,
    blank_page,
    fit,
    house_style,
    last_epochs,
    network_name,
    paragraph,
    place,
    require,
    write,
)
from copylens.reporting.summaries import pareto_front
from copylens.reporting.trade_off import FRONT_LINE, REAL_LINE, draw_lines, frame

SCORE_COLUMNS = (*STATE, "detector", "rule", "copies")
SIZES = ["n_reference", "n_samples"]
QUALITY_COLUMNS = (*STATE, "features", "metric", "value", "real", *SIZES)
METRIC = "frechet_distance"

# All in inches.
MARGIN, TICKS, GAP, RIGHT, TOP = 0.2, 0.38, 0.2, 0.12, 0.66
TITLE, PANEL, BELOW, NOTE_LINE = 0.12, 2.7, 0.62, 0.15


def pages(files, settings) -> list[Figure]:
    """One page, from a study's scores and its measures of quality."""
    return [draw(read_table(files["scores"]), read_table(files["quality"]))]


@house_style()
def draw(scores: pd.DataFrame, quality: pd.DataFrame) -> Figure:
    """One panel per data set (and detector, if several); one point per model and variant.

    scores: a study's score table; dataset, model, kind, variant, seed, epoch, detector, rule (only 'matched' is shown),
        copies (share, 0 to 1).
    quality: a study's quality table; the same run columns, features (one in all), metric (only 'frechet_distance' is
        shown), value, real (of held-out real images in the samples' place), n_reference and n_samples. A distance
        depends on both sizes, so the line of real images is that of the largest training set and most samples.

    Points are means over seeds, bars the seeds' range, epochs the last. The step line joins trained generators that no
    other trained generator beats in both; untrained models are hollow. Distances of 0 or less stand at the left edge.

    Raises ValueError where columns or rows are missing, there are several features, or the tables share no run.
    """
    require(scores, SCORE_COLUMNS, "scores")
    require(quality, QUALITY_COLUMNS, "quality")
    scores = last_epochs(scores[scores["rule"] == "matched"])
    quality = last_epochs(quality[quality["metric"] == METRIC])
    require(scores, SCORE_COLUMNS, "scores of the matched rule")
    require(quality, QUALITY_COLUMNS, f"quality of metric {METRIC}")
    if quality["features"].nunique() > 1:
        raise ValueError(f"quality: features must be the same in all rows, not {sorted(set(quality['features']))}")
    names = zip(scores["model"], scores["variant"], strict=True)
    scores = scores.assign(network=[network_name(*name) for name in names])
    points = scores.merge(quality[[*STATE, "value", "real", *SIZES]], on=list(STATE)).dropna(subset=["copies", "value"])
    require(points, (), "runs in both scores and quality")
    points["value"] = points["value"].clip(lower=points["value"][points["value"] > 0].min() / 2)

    several = points["detector"].nunique() > 1
    groups = list(points.groupby(["dataset", "detector"], sort=False))
    n_columns = min(len(groups), 2)
    width = (PAGE_WIDTH - 2 * MARGIN - n_columns * (TICKS + RIGHT) - (n_columns - 1) * GAP) / n_columns
    notes = [line for text in _notes(points, scores) for line in paragraph(text, PAGE_WIDTH - 2 * MARGIN, 7)]
    block = TITLE + PANEL + BELOW
    n_rows = -(-len(groups) // n_columns)
    figure = blank_page(PAGE_WIDTH, TOP + n_rows * block + NOTE_LINE * len(notes) + 0.12)
    trained = sorted(set(points["kind"]) - set(UNTRAINED))
    colours = rcParams["axes.prop_cycle"].by_key()["color"]
    colour_of = {kind: colours[number % len(colours)] for number, kind in enumerate(trained)}
    end = min(100, 10 * np.ceil(10 * points["copies"].max() + 0.5))

    for number, ((dataset, detector), group) in enumerate(groups):
        row, column = divmod(number, n_columns)
        left = MARGIN + column * (width + TICKS + RIGHT + GAP) + TICKS
        name = dataset.replace("_", " ")
        title = fit(f"{name} · {detector}" if several else name, width, 7.5, "bold")
        write(figure, left, TOP + row * block, title, size=7.5, weight="bold")
        axes = place(figure, left, TOP + row * block + TITLE, width, PANEL)
        _frame(axes, group, end, width)
        _panel(axes, group, colour_of)
    for line, text in enumerate(notes):
        write(figure, MARGIN, TOP + n_rows * block + NOTE_LINE * line - 0.04, text)
    _legend(figure, colour_of, set(points["kind"]) & set(UNTRAINED))
    return figure


def _means(group: pd.DataFrame) -> pd.DataFrame:
    return group.groupby(["network", "kind"], sort=False)[["value", "copies"]].mean().reset_index()


def _notes(points: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    """The tables in sentences: the network with the best Frechet distance, and the networks without one."""
    copycats, notes = [], []
    for dataset, group in points[points["detector"] == points["detector"].iloc[0]].groupby("dataset", sort=False):
        best = _means(group).sort_values("value").iloc[0]
        name, copies = dataset.replace("_", " "), f"{100 * best['copies']:.0f} %"
        if best["kind"] == "copycat":
            copycats.append(name)
        else:
            notes.append(f"On {name}, {best['network']} has the best Fréchet distance of all, with {copies} copies.")
    if copycats:
        where = " and ".join([", ".join(copycats[:-1]), copycats[-1]] if len(copycats) > 1 else copycats)
        first = f"On {where}, the copycat, which only replays training images, has the best Fréchet distance of all: "
        notes = [f"{first}quality metrics cannot see copying.", *notes]
    shown, scored = (
        {
            f"{dataset.replace('_', ' ')} {network}"
            for dataset, network in zip(table.dataset, table.network, strict=True)
        }
        for table in (points, scores)
    )
    if scored - shown:
        notes.append(f"Without a Fréchet distance: {', '.join(sorted(scored - shown))}.")
    return notes


def _frame(axes: Axes, group: pd.DataFrame, end: float, width: float) -> None:
    """A logarithmic axis that holds every point, and copies from 0 to `end` per cent."""
    frame(axes, pd.concat([group["value"], group["real"][group["real"] > 0]]), end)
    axes.set_ylabel("copies, per cent of synthetic images")
    axes.set_xlabel(fit("Fréchet distance (log; lower is better)", width, 7))


def _panel(axes: Axes, group: pd.DataFrame, colour_of: dict[str, str]) -> None:
    means, seeds = _means(group), group.groupby("network", sort=False)
    real = group.loc[(group[SIZES] == group[SIZES].max(axis=0)).all(axis=1), "real"].mean()
    segments = [[(end, EXPECTED_CONTROL) for end in axes.get_xlim()]]
    axes.axhline(EXPECTED_CONTROL, zorder=1, **EXPECTED_LINE)
    front = pareto_front(means[~means["kind"].isin(UNTRAINED)])
    segments += draw_lines(axes, list(zip(front["value"], 100 * front["copies"], strict=True)), real)
    bars = []
    for point in means.itertuples():
        of_point = seeds.get_group(point.network)
        values, copies = ([of_point[name].min(), of_point[name].max()] for name in ("value", "copies"))
        bars.append([(values[0], 100 * point.copies), (values[1], 100 * point.copies)])
        bars.append([(point.value, 100 * copies[0]), (point.value, 100 * copies[1])])
        colour = colour_of.get(point.kind, QUIET)
        for bar in bars[-2:]:
            axes.plot(*zip(*bar, strict=True), color=colour, linewidth=0.8, zorder=3)
        face = "white" if point.kind in UNTRAINED else colour
        style = {"color": colour, "markerfacecolor": face, "markersize": 4.6, "zorder": 4, "clip_on": False}
        axes.plot(point.value, 100 * point.copies, "o", **style)

    places = [(point.value, 100 * point.copies) for point in means.itertuples()]
    name_points(axes, list(means["network"]), places, bars, segments)


def _legend(figure: Figure, colour_of: dict[str, str], untrained: set[str]) -> None:
    def marker(colour: str, face: str) -> Line2D:
        return Line2D([], [], color=colour, marker="o", markersize=4.6, markerfacecolor=face, linewidth=0)

    entries = [(kind.replace("_", " "), marker(colour, colour)) for kind, colour in colour_of.items()]
    entries += [("not trained", marker(QUIET, "white"))] if untrained else []
    lines = [
        ("best trained trade-off", Line2D([], [], **FRONT_LINE)),
        ("real images in the samples' place", Line2D([], [], **REAL_LINE)),
        (f"{EXPECTED_CONTROL} %: expected where nothing is copied", Line2D([], [], **EXPECTED_LINE)),
    ]
    height = figure.get_size_inches()[1]
    for top, row in ((0.1, entries), (0.27, lines)):
        figure.legend(
            [handle for _, handle in row],
            [name for name, _ in row],
            loc="upper left",
            bbox_to_anchor=((MARGIN + TICKS) / PAGE_WIDTH, 1 - top / height),
            ncols=len(row),
            labelcolor=INK,
        )
