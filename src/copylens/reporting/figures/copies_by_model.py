"""Which models copy: copies, memorized patients and control rate of every model, sorted, by the matched rule."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import RUN
from copylens.jobs.files import read_table
from copylens.reporting.page import (
    EXPECTED_CONTROL,
    EXPECTED_LINE,
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    UNTRAINED,
    blank_page,
    fit,
    house_style,
    last_epochs,
    network_name,
    place,
    require,
    share_axis,
    stroke,
    text_width,
    wrap,
    write,
)

# (rate, title, second line, colour)
PANELS = (
    ("copies", "Copies", "of synthetic images", ROLES["synthetic"]),
    ("patients_memorized", "Memorized", "of training patients", ROLES["training"]),
    ("control_rate", "Control rate", "of unseen patients", ROLES["control"]),
    ("control_rate_decoded", "Control rate", "the same, decoded", ROLES["control"]),
)
CONTROLS = ("control_rate", "control_rate_decoded")
RUN_COLUMNS = (*RUN, "rule")

# All in inches.
MARGIN, GAP, HEADER, FOOTER = 0.2, 0.26, 0.78, 0.42
MAX_LABELS, INDENT, LINE = 1.9, 0.1, 0.115
HEADING, GROUP_GAP, RULE_GAP = 0.2, 0.12, 0.1
SEED_STEP, ROW_MARGIN, NUMBER = 0.075, 0.13, 0.36


class Row(NamedTuple):
    """A model's place on the page: the lines of its label, its purpose if it wasn't trained, scores, inches."""

    label: list[str]
    purpose: str
    scores: pd.DataFrame
    top: float
    height: float


def pages(files, settings) -> list[Figure]:
    """One page, from a study's scores."""
    return [draw(read_table(files["scores"]))]


@house_style()
def draw(scores: pd.DataFrame) -> Figure:
    """One group of rows per data set; one row per model and variant, those that copy most on top.

    scores: a study's score table. dataset, model, kind, variant, seed, epoch, detector, rule (only 'matched' is
        shown), and for copies, patients_memorized, control_rate and control_rate_decoded the share (0 to 1) with its
        95 % interval: `<name>`, `<name>_low`, `<name>_high`. NaN is left out; so is the last panel where no model
        has a decoder. Of several epochs the last is shown.

    One point and interval per seed, a bar at the seeds' mean, and the mean in words. Models that weren't trained (the
    controls and the fully memorized limit) stand below a line of their own.

    Raises ValueError where columns are missing or there are no rows of the matched rule.
    """
    rates = [f"{rate}{end}" for rate, *_ in PANELS for end in ("", "_low", "_high")]
    require(scores, (*RUN_COLUMNS, *rates), "scores")
    scores = last_epochs(scores[scores["rule"] == "matched"])
    require(scores, RUN_COLUMNS, "scores of the matched rule")

    headings, rules, rows = _layout(scores)
    panels = [panel for panel in PANELS if scores[panel[0]].notna().any()]
    labels_width = max(
        *(text_width(line, 7) + INDENT for row in rows for line in row.label),
        *(text_width(row.purpose, 6) + INDENT for row in rows),
        0.9,
    )
    left = MARGIN + labels_width + 0.12
    step = (PAGE_WIDTH - MARGIN - left + GAP) / len(panels)
    width = step - GAP - NUMBER
    height = rows[-1].top + rows[-1].height
    figure = blank_page(PAGE_WIDTH, HEADER + height + FOOTER)
    highest_control = scores[[f"{rate}_high" for rate in CONTROLS]].max().max()

    for number, (rate, title, subtitle, colour) in enumerate(panels):
        x = left + number * step
        axes = place(figure, x, HEADER, width, height)
        share_axis(axes, height, highest_control if rate in CONTROLS else 1)
        write(figure, x, HEADER - 0.21, title, size=7.5, weight="bold", color=colour)
        write(figure, x, HEADER - 0.08, fit(subtitle, width + NUMBER, 6), size=6, color=QUIET)
        for row in rows:
            mean = _points(axes, row, rate, colour)
            text = "–" if pd.isna(mean) else f"{100 * mean:.0f} %"
            baseline = HEADER + row.top + row.height / 2 + 0.032
            write(figure, x + width + NUMBER, baseline, text, size=6.5, ha="right", color=INK)
    for top, text in headings:
        shown = fit(text, PAGE_WIDTH - 2 * MARGIN, 7, "bold")
        # On white, so that the axes' lines don't run through a long name.
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        write(figure, MARGIN, HEADER + top + 0.12, shown, weight="bold", bbox=ground)
    for top in rules:
        stroke(figure, MARGIN + INDENT, HEADER + top, PAGE_WIDTH - 2 * MARGIN - INDENT, color="#B0B0B0", linewidth=0.5)
    for row in rows:
        lines = [*row.label, row.purpose] if row.purpose else row.label
        first = HEADER + row.top + row.height / 2 + 0.035 - LINE * (len(lines) - 1) / 2
        for line, text in enumerate(lines):
            style = {"size": 6, "color": QUIET} if row.purpose and line else {"size": 7}
            write(figure, MARGIN + INDENT, first + LINE * line, text, **style)
    note = "per cent, matched rule; bars: 95 % intervals"
    write(figure, left, HEADER + height + 0.34, note, color=QUIET, size=6)
    _legend(figure, left, scores["seed"].nunique() > 1)
    return figure


def _layout(scores: pd.DataFrame) -> tuple[list[tuple[float, str]], list[float], list[Row]]:
    """Headings (top, text), the tops of the lines above untrained models, and rows; inches below the header."""
    several = scores["detector"].nunique() > 1
    n_seeds = scores.groupby(["dataset", "detector", "model", "variant"]).size().max()
    headings, rules, rows, top = [], [], [], 0.02
    for (dataset, detector), group in scores.groupby(["dataset", "detector"], sort=False):
        name = dataset.replace("_", " ")
        headings.append((top, f"{name} · {detector}" if several else name))
        top += HEADING
        runs = [(names, run, run["kind"].iloc[0] in UNTRAINED) for names, run in group.groupby(["model", "variant"])]
        runs.sort(key=lambda run: (run[2], -run[1]["copies"].mean(), run[0]))
        for number, (names, run, untrained) in enumerate(runs):
            if untrained and number and not runs[number - 1][2]:
                rules.append(top + RULE_GAP / 2)
                top += RULE_GAP
            purpose = UNTRAINED[run["kind"].iloc[0]] if untrained else ""
            network, room = network_name(*names), MAX_LABELS - INDENT
            label = [fit(network, room, 7)] if untrained else wrap(network, room, 7)
            n_lines = len(label) + bool(purpose)
            height = max(SEED_STEP * n_seeds + ROW_MARGIN, LINE * n_lines + 0.07)
            rows.append(Row(label, purpose, run.sort_values("seed"), top, height))
            top += height
        top += GROUP_GAP
    return headings, rules, rows


def _points(axes: Axes, row: Row, rate: str, colour: str) -> float:
    """Every seed's value and interval, and a bar at their mean, which is returned."""
    middle, n_seeds = row.top + row.height / 2, len(row.scores)
    axes.axhline(middle, color="#F3F3F3", linewidth=0.5, zorder=0)
    y = [middle + SEED_STEP * (number - (n_seeds - 1) / 2) for number in range(n_seeds)]
    value, low, high = (100 * row.scores[f"{rate}{end}"].to_numpy() for end in ("", "_low", "_high"))
    several = n_seeds > 1
    faint = {"color": colour, "alpha": 0.5 if several else 1, "linewidth": 0.9}
    axes.hlines(y, low, high, zorder=2, **faint)
    size = 2.8 if several else 3.8
    axes.plot(value, y, "o", markersize=size, markeredgewidth=0, zorder=3, clip_on=False, **(faint | {"linewidth": 0}))
    mean = row.scores[rate].mean()
    if several:
        reach = SEED_STEP * n_seeds / 2
        axes.vlines(100 * mean, middle - reach, middle + reach, color=colour, linewidth=1.6, zorder=4, clip_on=False)
    return mean


def _legend(figure: Figure, left: float, several_seeds: bool) -> None:
    seed = Line2D([], [], color=QUIET, marker="o", markersize=3.6, linewidth=0.9)
    mean = Line2D([], [], color=QUIET, marker="|", markersize=7, markeredgewidth=1.6, linewidth=0)
    handles, labels = [seed], ["one seed" if several_seeds else "share"]
    if several_seeds:
        seed.set(markersize=2.8, markeredgewidth=0, alpha=0.6)
        handles, labels = [seed, mean], [*labels, "mean of seeds"]
    expected = Line2D([], [], **EXPECTED_LINE)
    figure.legend(
        [*handles, expected],
        [*labels, f"{EXPECTED_CONTROL} %: expected where nothing is copied"],
        loc="upper left",
        bbox_to_anchor=(left / PAGE_WIDTH, 1 - 0.14 / figure.get_size_inches()[1]),
        ncols=3,
        labelcolor=INK,
    )
