"""Samples beside their nearest training images, with the repeated parts in colour."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
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

COLUMNS = ("rank", "similarity", "called")
FAINTEST, STRONGEST = 0.85, 1.0  # correlations between which the colour comes in: half of an unlike image reaches 0.8
SHADE = LinearSegmentedColormap.from_list("repeated", ["#9A9A9A", ROLES["synthetic"]])

# All in inches.
MARGIN, HEADER, FOOTER = 0.3, 0.86, 0.62
GAP_OF_IMAGES, GAP_OF_PAIRS, CAPTION = 0.05, 0.3, 0.27
PAIRS_IN_ROW = 2


def pages(files, settings) -> list[Figure]:
    """A page per comparison, from its files."""
    scores, shown = read_table(files["scores"]), settings["runs"]
    figures = []
    for number, (run, label) in enumerate(zip(shown, tables.run_labels(shown), strict=True)):
        paths = [files[name][number] for name in ("regions", "samples", "images")]
        figures.append(draw(*tables.copied_regions(run, scores, *paths), label))
    return figures


@house_style()
def draw(pairs: pd.DataFrame, synthetic: np.ndarray, training: np.ndarray, regions: np.ndarray, title: str) -> Figure:
    """One page of pairs: synthetic image, nearest training image, and the latter with the repeated parts in colour.

    pairs: one row per pair; rank, similarity, called ('copy' or 'no copy').
    synthetic, training: float32 [pair, H, W] or [pair, D, H, W] in [0, 1]. regions: correlation of each place, of the
        same shape. Of volumes the slice along D with the most repetition is shown.

    Raises ValueError where columns are missing, there is no pair, or the arrays don't match the table.
    """
    require(pairs, COLUMNS, "pairs")
    shapes = {synthetic.shape, training.shape, regions.shape}
    if len(shapes) > 1 or len(synthetic) != len(pairs) or synthetic.ndim not in (3, 4):
        raise ValueError(
            f"pairs: {len(pairs)} rows need synthetic and training images and regions [{len(pairs)}, H, W] or "
            f"[{len(pairs)}, D, H, W], not {', '.join(str(list(shape)) for shape in sorted(shapes))}"
        )
    if synthetic.ndim == 4:
        most = np.argmax(np.clip(regions - FAINTEST, 0, None).mean(axis=(2, 3)), axis=1)
        synthetic, training, regions = (
            images[np.arange(len(pairs)), most] for images in (synthetic, training, regions)
        )
    pair_width = (PAGE_WIDTH - 2 * MARGIN - (PAIRS_IN_ROW - 1) * GAP_OF_PAIRS) / PAIRS_IN_ROW
    width = (pair_width - 2 * GAP_OF_IMAGES) / 3
    height = width * synthetic.shape[1] / synthetic.shape[2]
    n_rows = -(-len(pairs) // PAIRS_IN_ROW)
    figure = blank_page(PAGE_WIDTH, HEADER + n_rows * (height + CAPTION) + FOOTER)
    page = paper(figure)
    for number, pair in enumerate(pairs.itertuples()):
        row, column = divmod(number, PAIRS_IN_ROW)
        left, top = MARGIN + column * (pair_width + GAP_OF_PAIRS), HEADER + row * (height + CAPTION)
        for image in (synthetic[number], training[number]):
            show(page, image, left, top, width, height, cmap="gray", vmin=0, vmax=1)
            left += width + GAP_OF_IMAGES
        _coloured(page, training[number], regions[number], left, top, width, height)
        _caption(figure, left - 2 * (width + GAP_OF_IMAGES), top + height + 0.115, width, pair)
        if row == 0:
            names = (("synthetic", ROLES["synthetic"]), ("training", ROLES["training"]), ("repeated", QUIET))
            for step, (name, colour) in enumerate(names):
                x = left + (step - 2) * (width + GAP_OF_IMAGES)
                write(figure, x, HEADER - 0.06, name, color=colour, weight="bold")
    write(figure, MARGIN, 0.34, fit(title, PAGE_WIDTH - 2 * MARGIN, 9, "bold"), size=9, weight="bold")
    note = "Below each pair: rank, similarity; call by the matched rule"
    write(figure, MARGIN, 0.51, note, color=QUIET)
    _footer(figure)
    return figure


def _coloured(page: Axes, image: np.ndarray, region: np.ndarray, left: float, top: float, width: float, height: float):
    """The image in grey, tinted by how well each place is repeated."""
    share = np.clip((region - FAINTEST) / (STRONGEST - FAINTEST), 0, 1)[..., None]
    grey = 0.25 + 0.75 * np.clip(image, 0, 1)[..., None]
    show(
        page,
        grey * ((1 - share) * 0.75 + share * np.array(to_rgb(ROLES["synthetic"])) * 1.15).clip(0, 1),
        left,
        top,
        width,
        height,
    )


def _caption(figure: Figure, left: float, baseline: float, width: float, pair: Any) -> None:
    write(figure, left, baseline, f"{pair.rank}", size=6.5, color=QUIET)
    write(figure, left + width - 0.06, baseline, f"{pair.similarity:.3g}", size=6.5, ha="right")
    colour, weight = (ROLES["synthetic"], "bold") if pair.called == "copy" else (QUIET, "normal")
    write(figure, left + width + GAP_OF_IMAGES, baseline, pair.called, size=6.5, color=colour, weight=weight)


def _footer(figure: Figure) -> None:
    """The restriction on the left, the colour bar on the right."""
    height = figure.get_size_inches()[1]
    stroke(figure, MARGIN, height - FOOTER + 0.12, PAGE_WIDTH - 2 * MARGIN, color=FAINT, linewidth=0.5)
    write(figure, MARGIN, height - 0.24, "Restricted: shows training images", weight="bold")
    axes = place(figure, PAGE_WIDTH - MARGIN - 1.62, height - 0.38, 1.5, 0.075)
    scale = ScalarMappable(Normalize(FAINTEST, STRONGEST), SHADE)
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", ticks=[FAINTEST, STRONGEST])
    bar.outline.set_linewidth(0.4)
    bar.outline.set_edgecolor(QUIET)
    bar.ax.set_xticklabels([f"{FAINTEST:g}", f"{STRONGEST:g}"], size=6)
    bar.ax.tick_params(length=1.5, pad=1.5)
    write(figure, PAGE_WIDTH - MARGIN - 1.72, height - 0.31, "local correlation", ha="right", size=6.5)
