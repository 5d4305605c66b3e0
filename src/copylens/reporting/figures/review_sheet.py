"""Pairs of a sample and the training image that a detector finds nearest, for blinded review by people."""

import numpy as np
from matplotlib.figure import Figure

from copylens.reporting.page import FAINT, PAGE_WIDTH, QUIET, blank_page, house_style, paper, show, stroke, write

# All in inches.
MARGIN, HEADER, FOOTER = 0.3, 0.92, 0.46
GAP_OF_IMAGES, GAP_OF_PAIRS, CAPTION = 0.04, 0.22, 0.2
MAX_BODY = 9.0
COLUMNS_2D, COLUMNS_3D = 3, 1


@house_style()
def draw(numbers: list[int], left: np.ndarray, right: np.ndarray) -> list[Figure]:
    """Numbered pairs; further pages where one doesn't hold them.

    left, right: float32 [pair, H, W] or [pair, D, H, W] in [0, 1]; of volumes the mid slices across D, H and W.

    Raises ValueError where there is no pair, or the arrays don't match the numbers.
    """
    if not numbers or left.shape != right.shape or len(left) != len(numbers) or left.ndim not in (3, 4):
        raise ValueError(
            f"review_sheet: {len(numbers)} pairs need images [pair, H, W] or [pair, D, H, W] on both sides, not "
            f"{list(left.shape)} and {list(right.shape)}"
        )
    sizes = left.shape[1:]
    n_columns = COLUMNS_2D if left.ndim == 3 else COLUMNS_3D
    width = (PAGE_WIDTH - 2 * MARGIN + GAP_OF_PAIRS) / n_columns - GAP_OF_PAIRS
    image_width = (width - 3 * GAP_OF_IMAGES) / 2
    # Mid slices are [H, W], [D, W] and [D, H].
    shapes = [sizes] if left.ndim == 3 else [sizes[1:], (sizes[0], sizes[2]), sizes[:2]]
    scale = (image_width - (len(shapes) - 1) * GAP_OF_IMAGES) / sum(shape[1] for shape in shapes)
    row_height = max(shape[0] for shape in shapes) * scale + CAPTION
    per_page = n_columns * max(1, int(MAX_BODY // row_height))
    starts = range(0, len(numbers), per_page)
    pages = []
    for page, start in enumerate(starts, 1):
        places = range(start, min(start + per_page, len(numbers)))
        n_rows = -(-len(places) // n_columns)
        figure = blank_page(PAGE_WIDTH, HEADER + n_rows * row_height + FOOTER)
        sheet = paper(figure)
        for place, pair in enumerate(places):
            row, column = divmod(place, n_columns)
            x, top = MARGIN + column * (width + GAP_OF_PAIRS), HEADER + row * row_height
            write(figure, x, top - 0.05, f"pair {numbers[pair]}", size=7, weight="bold")
            for image in (left[pair], right[pair]):
                for plane in _planes(image):
                    height = plane.shape[0] * scale
                    show(sheet, plane, x, top, plane.shape[1] * scale, height, cmap="gray", vmin=0, vmax=1)
                    x += plane.shape[1] * scale + GAP_OF_IMAGES
                x += 2 * GAP_OF_IMAGES
        _frame(figure, page, len(starts))
        pages.append(figure)
    return pages


def _planes(image: np.ndarray) -> list[np.ndarray]:
    if image.ndim == 2:
        return [image]
    return [np.take(image, size // 2, axis=axis) for axis, size in enumerate(image.shape)]


def _frame(figure: Figure, page: int, n_pages: int) -> None:
    """The question above the images, the restriction below."""
    write(figure, MARGIN, 0.3, "Is one image a copy of the other?", size=9, weight="bold")
    write(
        figure,
        MARGIN,
        0.47,
        "Write copy, other or unsure beside the pair's number in the table of answers.",
        color=QUIET,
    )
    note = "A copy shows the same patient's image, even if turned, shifted, blurred or in other grey levels."
    write(figure, MARGIN, 0.62, note, color=QUIET)
    height = figure.get_size_inches()[1]
    stroke(figure, MARGIN, height - FOOTER + 0.14, PAGE_WIDTH - 2 * MARGIN, color=FAINT, linewidth=0.5)
    write(figure, MARGIN, height - 0.16, "Restricted: shows training images", weight="bold")
    write(figure, PAGE_WIDTH - MARGIN, height - 0.16, f"Page {page} of {n_pages}", size=6.5, color=QUIET, ha="right")
