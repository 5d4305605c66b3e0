"""A warning that needs no sampling: how much better the training images T are denoised than calibration images V."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
from copylens.reporting import tables
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
    log_ticks,
    network_name,
    place,
    require,
    stroke,
    text_width,
    tick_number,
    write,
)
from copylens.reporting.summaries import foretells, relative_gaps

RUN = [*NETWORK, "epoch"]
COLUMNS = (*RUN, "role", "timestep", "loss", "error")
SCORE_COLUMNS = (*RUN, "detector", "rule", "copies")
# (role in the table, name, colour), the last drawn on top.
SETS = (
    ("calibration", "calibration patients (V)", ROLES["calibration"]),
    ("train", "training patients (T)", ROLES["training"]),
)
EPOCHS = LinearSegmentedColormap.from_list("epochs", ["#E6BFB4", "#C8553D", "#4A150B"])  # the first to the last


# All in inches.
MARGIN, TICKS, GAP, LEGEND, FOOTER = 0.2, 0.34, 0.22, 0.34, 0.12
HEADER, PANEL, BELOW, MAX_BODY = 0.6, 1.45, 0.52, 10.3
BLOCK = HEADER + PANEL + BELOW


def pages(files, settings) -> list[Figure]:
    """The pages, from a study's scores and its networks' denoising losses."""
    return draw(tables.denoising(settings["networks"], files["denoising"]), read_table(files["scores"]))


@house_style()
def draw(denoising: pd.DataFrame, scores: pd.DataFrame) -> list[Figure]:
    """One row of panels for each data set, model and variant (and detector, if several); as many pages as they need.

    denoising: dataset, model, variant, seed, epoch, role ('train' or 'calibration'; others aren't shown), timestep,
        loss (the mean over the role's images), error (its standard error).
    scores: a study's score table; the same run columns, detector, rule (only 'matched' is shown), copies (share, 0
        to 1).

    Left: the losses of T and V at each seed's last epoch, means over seeds, with bands of 1.96 errors (means, too).
    Middle: `relative_gaps`, means over seeds, a line per epoch. Right: their mean over timesteps against copies, a
    point per epoch and seed, a line per seed.

    Raises ValueError where columns or rows are missing, or no run has losses of both T and V.
    """
    require(denoising, COLUMNS, "denoising")
    require(scores, SCORE_COLUMNS, "scores")
    scores = scores[scores["rule"] == "matched"]
    gaps = relative_gaps(denoising)
    several = scores["detector"].nunique() > 1

    width = (PAGE_WIDTH - 2 * MARGIN - 3 * TICKS - 2 * GAP) / 3
    trainings, keys = [], ["dataset", "model", "variant"]
    for names, of_training in gaps.groupby(keys, sort=False):
        losses, of_scores = (_of_training(table, keys, names) for table in (denoising, scores))
        for detector in list(dict.fromkeys(of_scores["detector"])) or [None]:
            means = of_training.groupby(RUN, sort=False)["gap"].mean().reset_index()
            points = means.merge(of_scores[of_scores["detector"] == detector][[*RUN, "copies"]], on=RUN).dropna()
            title = [names[0].replace("_", " "), network_name(*names[1:])] + [detector] * (several and bool(detector))
            trainings.append((" · ".join(title), losses, of_training, points))

    per_page = int(MAX_BODY / BLOCK)
    pages = [trainings[at : at + per_page] for at in range(0, len(trainings), per_page)]
    return [_page(page, width) for page in pages]


def _of_training(table: pd.DataFrame, keys: list[str], names: tuple) -> pd.DataFrame:
    return table[(table[keys] == list(names)).all(axis=1)]


def _page(trainings: list[tuple], width: float) -> Figure:
    figure = blank_page(PAGE_WIDTH, LEGEND + len(trainings) * BLOCK + FOOTER)
    lefts = [MARGIN + TICKS + number * (width + TICKS + GAP) for number in range(3)]
    headings = ("denoising loss, last epoch", "gap (V − T) / V, per cent", "copies, per cent")
    for number, (title, losses, gaps, points) in enumerate(trainings):
        top = LEGEND + number * BLOCK
        write(figure, MARGIN, top + 0.12, fit(title, PAGE_WIDTH - 2 * MARGIN, 7.5, "bold"), size=7.5, weight="bold")
        write(figure, MARGIN, top + 0.25, foretells(points["gap"], points["copies"]), size=6.5, color=QUIET)
        axes = [place(figure, left, top + HEADER, width, PANEL) for left in lefts]
        epochs = sorted(gaps["epoch"].unique())
        shades = np.linspace(0, 1, len(epochs)) if len(epochs) > 1 else [1.0]
        colours = {epoch: to_hex(EPOCHS(shade)) for epoch, shade in zip(epochs, shades, strict=True)}
        for left, text in zip(lefts, headings, strict=True):
            write(figure, left, top + HEADER - 0.07, text, size=6.5, color=QUIET)
        _losses(axes[0], losses)
        _gaps(axes[1], gaps, colours)
        _copies(axes[2], points, colours)
        _epoch_key(figure, lefts[1], top + HEADER - 0.19, width, colours)
    note = (
        "Matched rule. Bands: ±1.96 standard errors. Lines left and middle: means over seeds; right: one line per seed."
    )
    write(
        figure, MARGIN, figure.get_size_inches()[1] - 0.14, fit(note, PAGE_WIDTH - 2 * MARGIN, 6), size=6, color=QUIET
    )
    _legend(figure)
    return figure


def _losses(axes: Axes, losses: pd.DataFrame) -> None:
    """The loss of T and V over the noise, at each seed's last epoch."""
    losses = losses[losses["epoch"] == losses.groupby("seed")["epoch"].transform("max")]
    lows = []
    for role, _, colour in SETS:
        means = losses[losses["role"] == role].groupby("timestep")[["loss", "error"]].mean()
        low, high = means["loss"] - 1.96 * means["error"], means["loss"] + 1.96 * means["error"]
        lows.append(low.min())
        axes.fill_between(means.index, low, high, color=colour, alpha=0.18, lw=0)
        style = {"color": colour, "linewidth": 1.2, "markersize": 2.4, "markeredgewidth": 0}
        axes.plot(means.index, means["loss"], "o-", **style)
    axes.grid()
    if min(lows) > 0 and axes.get_ylim()[1] > 4 * min(lows):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_ylim())))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(tick_number))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    _noise(axes)


def _gaps(axes: Axes, gaps: pd.DataFrame, colours: dict[int, str]) -> None:
    for epoch, colour in colours.items():
        means = 100 * gaps[gaps["epoch"] == epoch].groupby("timestep")["gap"].mean()
        axes.plot(means.index, means, "o-", color=colour, linewidth=1.1, markersize=2.2, markeredgewidth=0)
    axes.axhline(0, color=INK, linewidth=0.6, zorder=1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid()
    _noise(axes)


def _noise(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.set_xlabel("timestep (noise →)")


def _copies(axes: Axes, points: pd.DataFrame, colours: dict[int, str]) -> None:
    """A seed's epochs, joined in order; the points' colours are those of the epochs."""
    axes.set_xlabel("mean gap, per cent")
    if points.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not scored", transform=axes.transAxes, ha="center", va="center", color=QUIET)
        return
    for _, of_seed in points.sort_values("epoch").groupby("seed"):
        axes.plot(100 * of_seed["gap"], 100 * of_seed["copies"], color="#9A9A9A", linewidth=0.6, zorder=2)
    at = points["epoch"].map(colours)
    axes.scatter(100 * points["gap"], 100 * points["copies"], c=at, s=14, linewidths=0, zorder=3, clip_on=False)
    end = min(100, max(20, 10 * np.ceil(10 * points["copies"].max() + 0.2)))
    axes.set(ylim=(-0.03 * end, 1.03 * end), yticks=np.arange(0, end + 1, 25 if end > 60 else 20 if end > 40 else 10))
    axes.spines["left"].set_bounds(0, end)
    axes.axhline(EXPECTED_CONTROL, zorder=1, **EXPECTED_LINE)
    axes.margins(x=0.06)
    axes.autoscale_view(scaley=False)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid()


def _epoch_key(figure: Figure, left: float, baseline: float, width: float, colours: dict[int, str]) -> None:
    """The epochs' colours in order, between the first and the last number."""
    first, last = min(colours), max(colours)
    text = f"epoch {first:,}"
    write(figure, left, baseline, text, size=6.5, color=QUIET)
    if len(colours) == 1:
        return
    start = left + text_width(text, 6.5) + 0.07
    room = width - (start - left) - text_width(f"{last:,}", 6.5) - 0.07
    step = min(0.13, room / len(colours))
    for number, colour in enumerate(colours.values()):
        style = {"color": colour, "linewidth": 3.2, "solid_capstyle": "butt"}
        stroke(figure, start + number * step, baseline - 0.032, 0.85 * step, **style)
    write(figure, start + len(colours) * step + 0.05, baseline, f"{last:,}", size=6.5, color=QUIET)


def _legend(figure: Figure) -> None:
    style = {"marker": "o", "markersize": 2.4, "markeredgewidth": 0, "linewidth": 1.2}
    handles = [Line2D([], [], color=colour, **style) for *_, colour in reversed(SETS)]
    labels = [label for _, label, _ in reversed(SETS)]
    figure.legend(
        [*handles, Line2D([], [], **EXPECTED_LINE)],
        [*labels, f"{EXPECTED_CONTROL} %: expected where nothing is copied"],
        loc="upper left",
        bbox_to_anchor=(MARGIN / PAGE_WIDTH, 1 - 0.12 / figure.get_size_inches()[1]),
        ncols=3,
        labelcolor=INK,
    )
