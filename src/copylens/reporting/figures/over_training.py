"""Memorization over a training, above image quality, and the epoch at which to stop."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
from copylens.reporting.page import (
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    log_ticks,
    network_name,
    paragraph,
    place,
    require,
    tick_number,
    wrap,
    write,
)
from copylens.reporting.summaries import CONTROL_BOUNDS, stop_epoch

# (rate, name, colour, width of the line), the last drawn on top.
RATES = (
    ("control_rate", "control rate", ROLES["control"], 0.7),
    ("patients_memorized", "patients memorized", ROLES["training"], 1.2),
    ("copies", "copies", ROLES["synthetic"], 1.2),
)
# (metric, label, colour)
METRICS = (("frechet_distance", "Fréchet distance", "#33658A"), ("recall", "recall", "#8C5E3C"))
RUN = [*NETWORK, "epoch"]
ENDS = ("", "_low", "_high")  # of a rate's columns
RATE_COLUMNS = [f"{rate}{end}" for rate, *_ in RATES for end in ENDS]
QUALITY_COLUMNS = (*RUN, "features", "metric", "value", "real")
STOP_LINE = {"color": ROLES["threshold"], "linestyle": (0, (3, 1.6)), "linewidth": 0.8}
DECODED_LINE = {"color": ROLES["control"], "linestyle": (0, (1, 1.4)), "linewidth": 0.9}
REAL_LINE = {"color": ROLES["control"], "linestyle": (0, (5, 2)), "linewidth": 0.9}

# All in inches.
MARGIN, TICKS, GAP, LEGEND, FOOTER = 0.2, 0.28, 0.2, 0.36, 0.14
TITLE_LINE, WORDS_LINE, SHARES, METRIC, BETWEEN, BELOW = 0.125, 0.115, 1.3, 0.66, 0.26, 0.56
MAX_COLUMNS, MAX_BODY = 3, 10.2
LOGARITHMIC = 20  # epochs are on a logarithmic scale where the last is so many times the first


def pages(files, settings) -> list[Figure]:
    """The pages, from a study's scores and its measures of quality."""
    return draw(read_table(files["scores"]), read_table(files["quality"]))


@house_style()
def draw(scores: pd.DataFrame, quality: pd.DataFrame) -> list[Figure]:
    """One column of panels for each data set, model and variant with several epochs; as many pages as they need.

    scores: a study's score table; dataset, model, variant, seed, epoch, detector, rule (only 'matched' is shown), and
        for copies, patients_memorized and control_rate the share (0 to 1) with its 95 % interval: `<name>`,
        `<name>_low`, `<name>_high`; and control_rate_decoded_high, NaN where a model has no decoder.
    quality: a study's quality table; the same run columns, features (one in all), metric ('frechet_distance' and
        'recall' are shown), value, real (of held-out real images in the samples' place).

    Thick lines are means over seeds, thin ones seeds, bands the 95 % intervals (their bounds' means over seeds), the
    dotted line the upper bound of control_rate_decoded. The dashed line is the epoch of `stop_epoch`.

    Raises ValueError where columns or rows are missing, there are several features, or no model has several epochs.
    """
    require(scores, (*RUN, "detector", "rule", *RATE_COLUMNS, CONTROL_BOUNDS[1]), "scores")
    require(quality, QUALITY_COLUMNS, "quality")
    if quality["features"].nunique() > 1:
        raise ValueError(f"quality: features must be the same in all rows, not {sorted(set(quality['features']))}")
    scores = scores[scores["rule"] == "matched"]
    keys = ["dataset", "model", "variant", "detector"]
    trainings = [training for training in scores.groupby(keys, sort=False) if training[1]["epoch"].nunique() > 1]
    if not trainings:
        raise ValueError("scores: no model was scored at several epochs; list some in the model's training.snapshots")

    n_columns = min(len(trainings), MAX_COLUMNS)
    cell = (PAGE_WIDTH - 2 * MARGIN + GAP) / n_columns
    width = cell - TICKS - GAP
    several = scores["detector"].nunique() > 1
    columns = [_column(names, rows, quality, width, several) for names, rows in trainings]
    rows = [columns[at : at + n_columns] for at in range(0, len(columns), n_columns)]
    heights = [_header(row) + SHARES + len(METRICS) * (BETWEEN + METRIC) + BELOW for row in rows]

    pages: list[list[tuple]] = []
    used = np.inf
    for row, height in zip(rows, heights, strict=True):
        if used + height > MAX_BODY:
            pages, used = [*pages, []], 0.0
        pages[-1].append((row, used, used + height))
        used += height
    return [_page(blocks, cell, width) for blocks in pages]


def _words(rows: pd.DataFrame, stop: int | None) -> str:
    """`stop_epoch`'s answer in a sentence."""
    first, last = rows["epoch"].min(), rows["epoch"].max()
    if stop is None:
        return f"Never: copies don't exceed the control rate up to epoch {last:,}."
    if stop == 0:
        return f"At 0: copies exceed the control rate already at epoch {first:,}, the first that was scored."
    return f"At epoch {stop:,}, the last before copies first exceed the control rate."


def _column(names: tuple, rows: pd.DataFrame, quality: pd.DataFrame, width: float, several: bool) -> dict:
    """The content of one column of panels: title and words in lines, scores and quality, and the epoch to stop."""
    dataset, model, variant, detector = names
    of_run = (quality["dataset"] == dataset) & (quality["model"] == model) & (quality["variant"] == variant)
    title = " · ".join([dataset.replace("_", " "), network_name(model, variant), *([detector] if several else [])])
    stop = stop_epoch(rows)
    words = paragraph(f"When to stop? {_words(rows, stop)}", width, 6.5)
    return {
        "title": wrap(title, width, 7.5, "bold"),
        "words": words,
        "scores": rows,
        "quality": quality[of_run].dropna(subset="value"),
        "stop": stop,
    }


def _header(row: list[dict]) -> float:
    """Room for the titles and words above a row of columns."""
    titles, words = (max(len(column[name]) for column in row) for name in ("title", "words"))
    return TITLE_LINE * titles + WORDS_LINE * words + 0.26


def _page(blocks: list[tuple], cell: float, width: float) -> Figure:
    figure = blank_page(PAGE_WIDTH, LEGEND + blocks[-1][2] + FOOTER)
    for row, top, _ in blocks:
        header = _header(row)
        for number, column in enumerate(row):
            left = MARGIN + number * cell + TICKS
            first = LEGEND + top + 0.12
            for line, text in enumerate(column["title"]):
                write(figure, left, first + TITLE_LINE * line, text, size=7.5, weight="bold")
            first += TITLE_LINE * len(column["title"])
            for line, text in enumerate(column["words"]):
                write(figure, left, first + WORDS_LINE * line, text, size=6.5, color=QUIET)
            _panels(figure, left, LEGEND + top + header, width, column)
    bottom = figure.get_size_inches()[1]
    note = "Matched rule. Bands: 95 % intervals; thick lines: means over seeds."
    write(figure, MARGIN, bottom - 0.16, fit(note, PAGE_WIDTH - 2 * MARGIN, 6), size=6, color=QUIET)
    _legend(figure)
    return figure


def _panels(figure: Figure, left: float, top: float, width: float, column: dict) -> None:
    """Shares, and below them one panel per metric, over the same epochs."""
    shares = place(figure, left, top, width, SHARES)
    for rate, _, colour, linewidth in RATES:
        rows = column["scores"].assign(**{f"{rate}{end}": 100 * column["scores"][f"{rate}{end}"] for end in ENDS})
        means = rows.groupby("epoch")[[f"{rate}{end}" for end in ENDS]].mean()
        shares.fill_between(means.index, means[f"{rate}_low"], means[f"{rate}_high"], color=colour, alpha=0.16, lw=0)
        _lines(shares, rows, rate, colour, linewidth)
    decoded = 100 * column["scores"].groupby("epoch")[CONTROL_BOUNDS[1]].mean()
    shares.plot(decoded.index, decoded, **DECODED_LINE)
    shares.set(ylim=(-3, 103), yticks=[0, 25, 50, 75, 100])
    write(figure, left, top - 0.06, "per cent", size=6.5, color=QUIET)
    shares.spines["left"].set_bounds(0, 100)
    panels = [shares]
    for number, (metric, label, colour) in enumerate(METRICS):
        above = top + SHARES + BETWEEN + number * (METRIC + BETWEEN)
        axes = place(figure, left, above, width, METRIC)
        write(figure, left, above - 0.06, label, size=6.5, color=colour)
        rows = column["quality"][column["quality"]["metric"] == metric]
        panels.append(axes)
        if rows.empty:
            axes.set(yticks=[])
            axes.text(0.5, 0.5, "not scored", transform=axes.transAxes, ha="center", va="center", color=QUIET)
            continue
        _lines(axes, rows, "value", colour, 1.2)
        axes.axhline(rows["real"].mean(), **REAL_LINE)
        _scale(axes, metric, rows)
    _epochs(panels, column["scores"]["epoch"], column["stop"], width)


def _lines(axes: Axes, rows: pd.DataFrame, name: str, colour: str, linewidth: float) -> None:
    """The mean over seeds with a dot at each epoch, and each seed as a thin line where there are several."""
    means = rows.groupby("epoch")[name].mean()
    if rows["seed"].nunique() > 1:
        for _, seed in rows.sort_values("epoch").groupby("seed"):
            axes.plot(seed["epoch"], seed[name], color=colour, linewidth=0.4, alpha=0.6)
    axes.plot(means.index, means, "o-", color=colour, linewidth=linewidth, markersize=2 * linewidth, markeredgewidth=0)


def _scale(axes: Axes, metric: str, rows: pd.DataFrame) -> None:
    """Recall from 0 to 1, positive distances on a logarithmic scale."""
    if metric == "recall":
        axes.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1])
        axes.spines["left"].set_bounds(0, 1)
    elif (rows[["value", "real"]].dropna() > 0).all(axis=None):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        ticks = log_ticks(low, high)
        axes.yaxis.set_major_locator(FixedLocator(ticks[_apart(np.log(ticks), np.log(high / low) * 0.14 / METRIC)]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(tick_number))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(3))


def _apart(places: np.ndarray, distance: float) -> list[int]:
    """Which of the ascending `places` to keep, so that neighbours are at least `distance` apart."""
    kept = [0]
    for number, place_of_tick in enumerate(places):
        if place_of_tick - places[kept[-1]] >= distance:
            kept.append(number)
    return kept


def _epochs(panels: list[Axes], epochs: pd.Series, stop: int | None, width: float) -> None:
    """The same epochs under every panel, named under the last one, and the epoch to stop through all of them."""
    first, last = epochs.min(), epochs.max()
    for axes in panels:
        axes.grid()
        if 0 < first * LOGARITHMIC <= last:
            low, high = first / (last / first) ** 0.05, last * (last / first) ** 0.03
            axes.set(xscale="log", xlim=(low, high))
            axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            low, high = 0 - 0.03 * last, 1.03 * last
            axes.set_xlim(low, high)
            axes.xaxis.set_major_locator(MaxNLocator(int(width / 0.45), integer=True, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:,.0f}"))
        if stop is not None:
            # Epoch 0 isn't on a logarithmic scale; there the line stands at the left edge.
            axes.axvline(max(stop, low), **STOP_LINE)
        if axes is not panels[-1]:
            axes.tick_params(axis="x", labelbottom=False)
    panels[-1].set_xlabel("epoch")


def _legend(figure: Figure) -> None:
    handles = [Line2D([], [], color=colour, linewidth=linewidth) for *_, colour, linewidth in reversed(RATES)]
    labels = [name for _, name, *_ in reversed(RATES)]
    figure.legend(
        [*handles, *(Line2D([], [], **style) for style in (DECODED_LINE, STOP_LINE, REAL_LINE))],
        [*labels, "its bound, decoded", "when to stop", "real images in the samples' place"],
        loc="upper left",
        columnspacing=1.1,
        bbox_to_anchor=(MARGIN / PAGE_WIDTH, 1 - 0.12 / figure.get_size_inches()[1]),
        ncols=6,
        labelcolor=INK,
    )
