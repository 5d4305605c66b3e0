"""Figures: each module's `draw` takes tables and returns a matplotlib Figure; `save` writes them as PDF.

Nothing here uses pyplot, so no figure outlives its last reference and no state is shared between figures.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from copylens.files import whole

# Colours with one meaning in every figure. They differ in lightness, so that they hold for the colour-blind.
ROLES = {
    "synthetic": "#C8553D",
    "training": "#54458A",
    "calibration": "#3C7FB1",
    "control": "#62B39B",
    "threshold": "#1F1F1F",
}
INK, QUIET, FAINT = "#262626", "#7F7F7F", "#D9D9D9"

# Both rules are drawn in black; what differs is the line.
RULE_LINES = {"paper": (0, (3, 1.6)), "matched": "solid"}

PAGE_WIDTH = 7.2  # inches; 183 mm, two columns of a journal
_STYLE = Path(__file__).with_name("house.mplstyle")


def house_style() -> AbstractContextManager:
    """The house style over matplotlib's own defaults, whatever the user's matplotlibrc; also a decorator."""
    return matplotlib.style.context(_STYLE, after_reset=True)


def save(figures: Figure | Sequence[Figure], path: Path | str) -> None:
    """Write a PDF with one page per figure: whole, fonts embedded, and the same bytes for the same figures.

    Raises ValueError where there is no figure.
    """
    pages = [figures] if isinstance(figures, Figure) else list(figures)
    if not pages:
        raise ValueError(f"no figure to write to {path}")
    with whole(path) as temporary, house_style(), PdfPages(temporary, metadata={"CreationDate": None}) as pdf:
        for page in pages:
            pdf.savefig(page)


def require(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise ValueError where the table called `name` lacks columns or has no rows."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(
            f"{name}: missing columns {', '.join(missing)}; there are {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise ValueError(f"{name}: the table has no rows")


def blank_page(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches."""
    return Figure(figsize=(width, height))


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """New axes, `left` and `top` in inches from the page's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    bottom = page_height - top - height
    return figure.add_axes((left / page_width, bottom / page_height, width / page_width, height / page_height))


def write(figure: Figure, left: float, top: float, text: str, **style) -> None:
    """Text whose baseline lies at `left` and `top` inches from the page's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    figure.text(left / page_width, 1 - top / page_height, text, **{"va": "baseline", "color": INK, **style})


def stroke(figure: Figure, left: float, top: float, width: float, **style) -> None:
    """A horizontal line, in inches from the page's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    height = 1 - top / page_height
    figure.add_artist(Line2D([left / page_width, (left + width) / page_width], [height, height], **style))


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text in inches, in the font of the style that is in force."""
    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def fit(text: str, inches: float, size: float, weight: str = "normal", keep: str = "start") -> str:
    """`text`, cut with an ellipsis where it is wider than `inches`; `keep` says which end stays."""
    short = text
    while len(short) > 2 and text_width(short, size, weight) > inches:
        short = f"{short[:-2].rstrip()}…" if keep == "start" else f"…{short[2:].lstrip()}"
    return short


def wrap(text: str, inches: float, size: float, weight: str = "normal") -> list[str]:
    """`text` in one line, or in two that break at a space; what is still wider is cut with an ellipsis."""
    words, first = text.split(" "), text
    while text_width(first, size, weight) > inches and " " in first:
        first = first.rpartition(" ")[0]
    rest = " ".join(words[len(first.split(" ")) :])
    return [fit(line, inches, size, weight) for line in (first.removesuffix(" ·"), rest) if line]
