"""Samples of every model in rows, the last of them real held-out images, so that the eye can compare."""

import numpy as np
from matplotlib.figure import Figure

from copylens.reporting import tables
from copylens.reporting.page import (
    FAINT,
    INK,
    PAGE_WIDTH,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    paper,
    show,
    stroke,
    write,
)

# All in inches.
MARGIN, HEADER, FOOTER = 0.3, 0.5, 0.46
LABEL, GAP_OF_IMAGES, GAP_OF_SHEETS, GAP_BEFORE_REAL = 0.17, 0.04, 0.15, 0.12
MAX_BODY = 9.4
FEWEST, USUAL, MOST = 8, 10, 12  # images in a row; fewer are shown no larger than `FEWEST` would be


def pages(files, settings) -> list[Figure]:
    """Pages of samples and of control patients, from their files."""
    paths = (files[name] for name in ("samples", "images", "splits"))
    return draw(tables.sample_sheets(settings["runs"], *paths))


@house_style()
def draw(sheets: list[tuple[str, np.ndarray]]) -> list[Figure]:
    """One block of images per sheet, its label above; further pages where one doesn't hold them.

    sheets: (label, images [n, H, W] or [n, D, H, W] in [0, 1]). Of volumes the mid slice along D is shown. A sheet
        whose label begins with 'real' holds real images, and is set apart in the control patients' colour.

    Raises ValueError where there is no sheet, a sheet has no image, or its images have another number of axes.
    """
    if not sheets:
        raise ValueError("sheets: there are none")
    for label, images in sheets:
        if images.ndim not in (3, 4) or not len(images):
            raise ValueError(f"sheets: {label!r} needs images [n, H, W] or [n, D, H, W], not {list(images.shape)}")
    planes = [images if images.ndim == 3 else images[:, images.shape[1] // 2] for _, images in sheets]
    most = max(map(len, planes))
    n_columns = most if most <= MOST else USUAL
    width = (PAGE_WIDTH - 2 * MARGIN + GAP_OF_IMAGES) / max(n_columns, FEWEST) - GAP_OF_IMAGES

    pages: list[list[tuple]] = [[]]
    top = 0.0
    for (label, _), shown in zip(sheets, planes, strict=True):
        height = width * shown.shape[1] / shown.shape[2]
        block = LABEL + -(-len(shown) // n_columns) * (height + GAP_OF_IMAGES) + GAP_OF_SHEETS
        real = label.startswith("real")
        apart = GAP_BEFORE_REAL if real and pages[-1] and not pages[-1][-1][2] else 0
        if pages[-1] and top + apart + block > MAX_BODY:
            pages, top, apart = [*pages, []], 0.0, 0
        pages[-1].append((label, shown, real, top + apart, apart, height))
        top += apart + block
        bottom = top - GAP_OF_SHEETS
        pages[-1][-1] += (bottom,)
    volumes = any(images.ndim == 4 for _, images in sheets)
    return [_page(blocks, n_columns, width, volumes, number, len(pages)) for number, blocks in enumerate(pages, 1)]


def _page(blocks: list[tuple], n_columns: int, width: float, volumes: bool, number: int, n_pages: int) -> Figure:
    height = HEADER + blocks[-1][-1] + FOOTER
    figure = blank_page(PAGE_WIDTH, height)
    page = paper(figure)
    note = "black is 0, white is 1" + ("; of volumes the mid slice along the first axis" if volumes else "")
    write(figure, MARGIN, 0.3, "Samples", size=9, weight="bold")
    write(figure, MARGIN + 0.7, 0.3, note, color=QUIET)
    for label, shown, real, top, apart, image_height, _ in blocks:
        if apart:
            line = HEADER + top - (GAP_OF_SHEETS + GAP_BEFORE_REAL) / 2 + 0.02
            stroke(figure, MARGIN, line, PAGE_WIDTH - 2 * MARGIN, color=FAINT, linewidth=0.5)
        colour = ROLES["control"] if real else INK
        name = fit(label, PAGE_WIDTH - 2 * MARGIN, 7, "bold")
        write(figure, MARGIN, HEADER + top + LABEL - 0.055, name, weight="bold", color=colour)
        for position, image in enumerate(shown):
            row, column = divmod(position, n_columns)
            left = MARGIN + column * (width + GAP_OF_IMAGES)
            above = HEADER + top + LABEL + row * (image_height + GAP_OF_IMAGES)
            show(page, image, left, above, width, image_height, cmap="gray", vmin=0, vmax=1)
    stroke(figure, MARGIN, height - FOOTER + 0.14, PAGE_WIDTH - 2 * MARGIN, color=FAINT, linewidth=0.5)
    write(figure, MARGIN, height - 0.16, "Restricted: shows training images", weight="bold")
    why = "Samples may be copies of patients." + (f"  Page {number} of {n_pages}" if n_pages > 1 else "")
    write(figure, PAGE_WIDTH - MARGIN, height - 0.16, why, size=6.5, color=QUIET, ha="right")
    return figure
