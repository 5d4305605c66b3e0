"""Synthetic images beside the training image that the detector finds nearest, and their difference."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from copylens.jobs.files import read_table
from copylens.reporting import tables
from copylens.reporting.page import (
    FAINT,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    paper,
    place,
    require,
    show,
    stroke,
    write,
)

COLUMNS = ("rank", "correlation", "called", "patient")
# From "the training image is brighter" to "the synthetic image is brighter", in the roles' colours.
DIFFERENCE = LinearSegmentedColormap.from_list(
    "difference",
    ["#2E2463", ROLES["training"], "#B9B2D6", "#F1EFEE", "#EBBBAE", ROLES["synthetic"], "#7C2613"],
)

# All in inches.
MARGIN, HEADER, FOOTER = 0.3, 0.86, 0.62
GAP_OF_SLICES, GAP_OF_IMAGES, GAP_OF_PAIRS = 0.02, 0.05, 0.24
CAPTION = 0.27
MAX_BODY = 9.4


def pages(files, settings) -> list[Figure]:
    """A page per comparison, from its files."""
    scores, shown = read_table(files["scores"]), settings["runs"]
    figures = []
    for number, (run, label) in enumerate(zip(shown, tables.run_labels(shown), strict=True)):
        paths = [files[name][number] for name in ("nearest", "samples", "images", "scans")]
        figures.append(draw(*tables.copy_pairs(run, scores, *paths), label))
    return figures


@house_style()
def draw(pairs: pd.DataFrame, synthetic: np.ndarray, training: np.ndarray, title: str) -> Figure:
    """One page of pairs: synthetic image, nearest training image, signed difference.

    pairs: one row per pair, ordered by rank; rank (1 is the most similar), correlation, called ('copy' or
        'no copy' under the matched rule), patient (of the training image).
    synthetic, training: float32 [pair, H, W] or [pair, D, H, W] in [0, 1], row by row as in `pairs`. Volumes
        are shown as the mid slices across D, H and W.
    title: the network.

    Raises ValueError where columns are missing, there is no pair, or the arrays don't match the table.
    """
    require(pairs, COLUMNS, "pairs")
    _require_shapes(len(pairs), synthetic, training)
    volumes = synthetic.ndim == 4
    heights, widths = zip(*(plane.shape for plane in _planes(synthetic[0])), strict=True)

    n_columns = 1 if volumes or len(pairs) <= 2 else 2 if len(pairs) <= 8 else 3
    n_rows = -(-len(pairs) // n_columns)
    pair_width = (PAGE_WIDTH - 2 * MARGIN - (n_columns - 1) * GAP_OF_PAIRS) / n_columns
    image_width = (pair_width - 2 * GAP_OF_IMAGES - (2 * GAP_OF_PAIRS if volumes else 0)) / 3
    scale = (image_width - (len(widths) - 1) * GAP_OF_SLICES) / sum(widths)  # inches per pixel
    scale = min(scale, (MAX_BODY / n_rows - CAPTION) / max(heights))
    row_height = max(heights) * scale + CAPTION
    figure = blank_page(PAGE_WIDTH, HEADER + n_rows * row_height + FOOTER)

    difference = synthetic.astype(np.float32) - training
    limit = max(float(np.quantile(np.abs(difference), 0.998)), 0.02)
    shades = {
        "synthetic": {"cmap": "gray", "vmin": 0, "vmax": 1},
        "training": {"cmap": "gray", "vmin": 0, "vmax": 1},
        "difference": {"cmap": DIFFERENCE, "vmin": -limit, "vmax": limit},
    }
    page = paper(figure)
    step = image_width + GAP_OF_IMAGES + (GAP_OF_PAIRS if volumes else 0)
    for number, pair in enumerate(pairs.itertuples()):
        row, column = divmod(number, n_columns)
        left = MARGIN + column * (pair_width + GAP_OF_PAIRS)
        top = HEADER + row * row_height
        images = zip(shades, (synthetic[number], training[number], difference[number]), strict=True)
        for position, (name, image) in enumerate(images):
            _show(page, left + position * step, top, image, scale, max(heights), shades[name])
            if row == 0:
                colour = ROLES.get(name, QUIET)
                write(figure, left + position * step, HEADER - 0.06, name, color=colour, weight="bold")
        _caption(figure, left, top + max(heights) * scale + 0.115, step, image_width, pair)

    views = "mid slices across each axis; " if volumes else ""
    note = f"{views}below each pair: rank, correlation; patient; call by the matched rule"
    write(figure, MARGIN, 0.34, fit(title, PAGE_WIDTH - 2 * MARGIN, 9, "bold"), size=9, weight="bold")
    write(figure, MARGIN, 0.51, note[0].upper() + note[1:], color=QUIET)
    _footer(figure, limit)
    return figure


def _require_shapes(n_pairs: int, synthetic: np.ndarray, training: np.ndarray) -> None:
    if synthetic.shape != training.shape or len(synthetic) != n_pairs or synthetic.ndim not in (3, 4):
        raise ValueError(
            f"pairs: {n_pairs} rows need synthetic and training images [{n_pairs}, H, W] or "
            f"[{n_pairs}, D, H, W], not {list(synthetic.shape)} and {list(training.shape)}"
        )


def _planes(image: np.ndarray) -> list[np.ndarray]:
    """The image itself, or a volume's mid slices across D, H and W."""
    if image.ndim == 2:
        return [image]
    return [np.take(image, image.shape[axis] // 2, axis=axis) for axis in range(3)]


def _show(page: Axes, left: float, top: float, image: np.ndarray, scale: float, rows: int, shade: dict) -> None:
    """The image's planes side by side, each centred in the height of the tallest."""
    for plane in _planes(image):
        height, width = plane.shape
        show(page, plane, left, top + (rows - height) * scale / 2, width * scale, height * scale, **shade)
        left += width * scale + GAP_OF_SLICES


def _caption(figure: Figure, left: float, baseline: float, step: float, width: float, pair: Any) -> None:
    is_copy = pair.called == "copy"
    write(figure, left, baseline, f"{pair.rank}", size=6.5, color=QUIET)
    write(figure, left + width - 0.06, baseline, f"{pair.correlation:.3f}", size=6.5, ha="right")
    patient = fit(str(pair.patient), width, 6, keep="end")
    write(figure, left + step, baseline, patient, size=6, color=QUIET)
    colour, weight = (ROLES["synthetic"], "bold") if is_copy else (QUIET, "normal")
    write(figure, left + 2 * step, baseline, pair.called, size=6.5, color=colour, weight=weight)


def _footer(figure: Figure, limit: float) -> None:
    """The restriction on the left, the differences' colour bar on the right."""
    height = figure.get_size_inches()[1]
    stroke(figure, MARGIN, height - FOOTER + 0.12, PAGE_WIDTH - 2 * MARGIN, color=FAINT, linewidth=0.5)
    write(figure, MARGIN, height - 0.24, "Restricted: shows training images", weight="bold")
    axes = place(figure, PAGE_WIDTH - MARGIN - 1.62, height - 0.38, 1.5, 0.075)
    scale = ScalarMappable(Normalize(-limit, limit), DIFFERENCE)
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", extend="both", ticks=[-limit, 0, limit])
    bar.outline.set_linewidth(0.4)
    bar.outline.set_edgecolor(QUIET)
    bar.ax.set_xticklabels([f"−{limit:.2f}", "0", f"+{limit:.2f}"], size=6)
    bar.ax.tick_params(length=1.5, pad=1.5)
    write(figure, PAGE_WIDTH - MARGIN - 1.72, height - 0.31, "synthetic − training", ha="right", size=6.5)
