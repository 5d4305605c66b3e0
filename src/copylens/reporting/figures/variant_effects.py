"""The effect of a variant (augmented, smaller, fewer scans) on copies and memorized patients, against its base.

T are the training images, V calibration, S synthetic ones.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
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
from copylens.reporting.summaries import paired_difference

# Pages of panels: (rate, title, second line, colour).
PAGES = (
    (
        ("copies", "Copies", "of synthetic images", ROLES["synthetic"]),
        ("patients_memorized", "Memorized", "of patients, n = patients of V", ROLES["training"]),
    ),
    (
        ("memorized_at_n_train", "Memorized", "of images, by |T| samples", ROLES["training"]),
        ("patients_memorized_at_n_train", "Memorized", "of patients, by |T| samples", ROLES["training"]),
    ),
)
COLUMNS = (
    *NETWORK,
    *("epoch", "detector", "rule", "n_train"),
    *(rate for panels in PAGES for rate, *_ in panels),
    "control_rate",
)
SIZES = re.compile(r"scans_\d+")  # variants that differ in the number of training scans

# All in inches.
MARGIN, GAP, HEADER, FOOTER = 0.2, 0.22, 0.8, 0.56
MAX_LABELS, INDENT, LINE = 1.75, 0.1, 0.115
HEADING, GROUP_GAP, MODEL_GAP, SIZES_GAP = 0.2, 0.12, 0.12, 0.07
ROW, SEED_OFFSET = 0.27, 0.075
MEAN, INTERVAL = 0.52, 0.74  # right of a panel: where the difference ends, and the room for its interval


class Row(NamedTuple):
    """One variant's place on the page: its label, a note below it, scores by seed, inches below the header."""

    label: list[str]
    note: str
    base: pd.DataFrame
    variant: pd.DataFrame
    top: float
    height: float

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def pages(files, settings) -> list[Figure]:
    """A page per group of questions, from a study's scores."""
    scores = read_table(files["scores"])
    return [draw(scores, panels) for panels in PAGES]


@house_style()
def draw(scores: pd.DataFrame, panels: tuple = PAGES[0]) -> Figure:
    """One row per data set, model and variant, with the base's mean, the variant's, and the difference in words.

    panels: one of `PAGES`; the second counts exposure by as many samples as there are training images, so that training
        sets of several sizes are compared at |S| = |T| as well as at a fixed |S|.

    scores: a study's score table; dataset, model, variant, seed, epoch, detector, rule (only 'matched' is shown),
        n_train, and the shares (0 to 1) of both pages and control_rate. Of several epochs the last is shown.

    Hollow points are the base's means over seeds, filled ones the variant's, small ones seeds. Differences are those
    of `paired_difference`; where the interval excludes 0 they are bold, and so is the row's name. Variants
    `scans_NNNN` stand below the others of their model, by size.

    Raises ValueError where columns are missing, there are no rows of the matched rule, or no variant has a base.
    """
    require(scores, COLUMNS, "scores")
    scores = last_epochs(scores[scores["rule"] == "matched"])
    require(scores, COLUMNS, "scores of the matched rule")
    headings, rules, rows = _layout(scores)
    if not rows:
        raise ValueError("scores: no model has both a variant base and another one, so there is nothing to compare")

    differences = {
        (number, rate): paired_difference(row.base[rate], row.variant[rate])
        for number, row in enumerate(rows)
        for rate, *_ in panels
    }
    widths = [text_width(text, 7, "bold") for row in rows for text in row.label]
    labels_width = max(*widths, *(text_width(row.note, 6) for row in rows), 0.8) + INDENT
    left = MARGIN + labels_width + 0.14
    step = (PAGE_WIDTH - MARGIN - left + GAP) / len(panels)
    width = step - GAP - MEAN - INTERVAL
    height = rows[-1].top + rows[-1].height
    figure = blank_page(PAGE_WIDTH, HEADER + height + FOOTER)

    for panel, (rate, title, subtitle, colour) in enumerate(panels):
        x = left + panel * step
        axes = place(figure, x, HEADER, width, height)
        share_axis(axes, height, 1)
        write(figure, x, HEADER - 0.21, title, size=7.5, weight="bold", color=colour)
        write(figure, x, HEADER - 0.08, fit(subtitle, width, 6), size=6, color=QUIET)
        write(figure, x + width + MEAN + INTERVAL, HEADER - 0.21, "difference", size=7, ha="right")
        write(
            figure, x + width + MEAN + INTERVAL, HEADER - 0.08, "points, 95 % interval", size=6, color=QUIET, ha="right"
        )
        for number, row in enumerate(rows):
            _points(axes, row, rate, colour)
            _difference(figure, x + width + MEAN, HEADER + row.middle + 0.032, differences[number, rate])
    for top, text in headings:
        # On white, so that the axes' lines don't run through a long name.
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        shown = fit(text, PAGE_WIDTH - 2 * MARGIN, 7, "bold")
        write(figure, MARGIN, HEADER + top + 0.12, shown, weight="bold", bbox=ground)
    for top in rules:
        stroke(figure, MARGIN + INDENT, HEADER + top, PAGE_WIDTH - 2 * MARGIN - INDENT, color="#B0B0B0", linewidth=0.5)
    for number, row in enumerate(rows):
        _label(figure, row, bold=any(_excludes_zero(differences[number, rate]) for rate, *_ in panels))
    _words(figure, left, HEADER + height, scores, "copies" in [rate for rate, *_ in panels])
    return figure


def _excludes_zero(difference: tuple[float, float, float]) -> bool:
    _, low, high = difference
    return low > 0 or high < 0


def _layout(scores: pd.DataFrame) -> tuple[list[tuple[float, str]], list[float], list[Row]]:
    """Headings (top, text), the tops of the lines between models, and rows; inches below the header."""
    several = scores["detector"].nunique() > 1
    headings: list[tuple[float, str]] = []
    rules: list[float] = []
    rows: list[Row] = []
    top = 0.02
    for (dataset, detector), group in scores.groupby(["dataset", "detector"], sort=False):
        models = [
            (model, dict(list(of_model.set_index("seed").sort_index().groupby("variant"))))
            for model, of_model in group.groupby("model", sort=False)
        ]
        models = [(model, variants) for model, variants in models if "base" in variants and len(variants) > 1]
        if not models:
            continue
        top += GROUP_GAP if rows else 0
        name = dataset.replace("_", " ")
        headings.append((top, f"{name} · {detector}" if several else name))
        top += HEADING
        for number, (model, variants) in enumerate(models):
            if number:
                rules.append(top + MODEL_GAP / 2)
                top += MODEL_GAP
            base = variants.pop("base")
            others = [variant for variant in dict.fromkeys(group["variant"]) if variant in variants]
            sizes = [
                (table["n_train"].mean(), variant) for variant, table in variants.items() if SIZES.fullmatch(variant)
            ]
            sizes = [variant for _, variant in sorted(sizes)]
            others = [variant for variant in others if variant not in sizes]
            for variant in [*others, *sizes]:
                top += SIZES_GAP if others and [variant] == sizes[:1] else 0
                scans, in_base = (int(table["n_train"].iloc[0]) for table in (variants[variant], base))
                note = f"{scans:,} scans, base {in_base:,}" if variant in sizes else ""
                label = wrap(network_name(model, variant), MAX_LABELS - INDENT, 7, "bold")
                height = max(ROW, LINE * (len(label) + bool(note)) + 0.09)
                rows.append(Row(label, note, base, variants[variant], top, height))
                top += height
    return headings, rules, rows


def _label(figure: Figure, row: Row, bold: bool) -> None:
    """A row's name and the note below it."""
    lines = [(text, {"size": 7, "weight": "bold" if bold else "normal"}) for text in row.label]
    lines += [(row.note, {"size": 6, "color": QUIET})] if row.note else []
    first = HEADER + row.middle + 0.035 - LINE * (len(lines) - 1) / 2
    for line, (text, style) in enumerate(lines):
        write(figure, MARGIN + INDENT, first + LINE * line, text, **style)


def _points(axes: Axes, row: Row, rate: str, colour: str) -> None:
    """The two means joined, the base's seeds above them, the variant's below."""
    axes.axhline(row.middle, color="#F3F3F3", linewidth=0.5, zorder=0)
    tables = ((row.base, -SEED_OFFSET, "white"), (row.variant, SEED_OFFSET, colour))
    means = [100 * table[rate].mean() for table, *_ in tables]
    axes.plot(means, [row.middle] * 2, color=colour, linewidth=1, alpha=0.45, zorder=2, clip_on=False)
    if rate == "copies":
        control = 100 * row.variant["control_rate"].mean()
        ends = row.middle - 0.06, row.middle + 0.06
        axes.vlines(control, *ends, color=ROLES["control"], linewidth=1.2, zorder=2.5, clip_on=False)
    for (table, offset, face), mean in zip(tables, means, strict=True):
        style = {"color": colour, "markerfacecolor": face, "clip_on": False}
        axes.plot(mean, row.middle, "o", markersize=4.2, zorder=4, **style)
        if len(table) > 1:
            at = np.full(len(table), row.middle + offset)
            axes.plot(100 * table[rate], at, "o", markersize=1.9, markeredgewidth=0.45, zorder=3, **style)


def _difference(figure: Figure, x: float, baseline: float, difference: tuple[float, float, float]) -> None:
    """The difference in percentage points, which ends at `x`, and its interval on the right."""
    mean, low, high = (f"{100 * value + 0:+.1f}".replace("-", "−") for value in difference)
    weight = "bold" if _excludes_zero(difference) else "normal"
    if np.isnan(difference[0]):
        mean, interval = "–", "no shared seed"
    elif np.isnan(difference[1]):
        interval = "one seed"
    else:
        interval = f"{low} to {high}"
    write(figure, x, baseline, mean, size=6.5, weight=weight, ha="right")
    write(figure, x + INTERVAL, baseline, interval, size=6, color=INK if weight == "bold" else QUIET, ha="right")


def _words(figure: Figure, left: float, bottom: float, scores: pd.DataFrame, with_control: bool) -> None:
    """Notes below the panels and the legend above them, with the control rate where it is drawn."""
    notes = (
        "per cent and percentage points, matched rule, last epoch; t-intervals over seeds, paired by seed",
        "bold: the interval excludes 0; so do about 1 in 20 where nothing changes",
    )
    for line, note in enumerate(notes):
        write(figure, left, bottom + 0.34 + LINE * line, fit(note, PAGE_WIDTH - MARGIN - left, 6), color=QUIET, size=6)

    def marker(face: str, size: float = 4.2) -> Line2D:
        return Line2D([], [], color=QUIET, marker="o", markersize=size, markerfacecolor=face, linewidth=0)

    tick = Line2D([], [], color=ROLES["control"], marker="|", markersize=7, markeredgewidth=1.2, linewidth=0)
    handles, labels = [marker("white"), marker(QUIET)], ["base", "variant"]
    if scores["seed"].nunique() > 1:
        handles, labels = [*handles, marker(QUIET, 1.9)], [*labels, "seeds"]
    if with_control:
        handles, labels = [*handles, tick], [*labels, "control rate"]
    figure.legend(
        [*handles, Line2D([], [], **EXPECTED_LINE)],
        [*labels, f"{EXPECTED_CONTROL} %: expected where nothing is copied"],
        loc="upper left",
        bbox_to_anchor=(MARGIN / PAGE_WIDTH, 1 - 0.14 / figure.get_size_inches()[1]),
        ncols=5,
        labelcolor=INK,
    )
