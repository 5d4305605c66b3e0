"""The house style, and a page's parts: text, lines, images and axes in inches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from copylens.config.columns import NETWORK
from copylens.jobs.files import whole

# Colours with one meaning in every figure. They differ in lightness, so that they hold for the colour-blind.
ROLES = {
    "synthetic": "#C8553D",
    "training": "#54458A",
    "calibration": "#3C7FB1",
    "control": "#62B39B",
    "threshold": "#1F1F1F",
}
INK, QUIET, FAINT = "#262626", "#7F7F7F", "#D9D9D9"
# Both rules are drawn in black and differ in the dashes.
RULE_LINES = {"paper": (0, (3, 1.6)), "matched": "solid"}
EXPECTED_CONTROL = 5  # per cent; the matched rule's false positive rate under the null
EXPECTED_LINE = {"color": ROLES["threshold"], "linestyle": (0, (3, 1.6)), "linewidth": 0.7}
# Kinds of model that weren't trained, and their purpose.
UNTRAINED = {
    "copycat": "positive control",
    "unseen": "negative control",
    "empirical_denoiser": "fully memorized limit",
}
PAGE_WIDTH = 7.2  # inches; 183 mm, two columns of a journal
_STYLE = Path(__file__).with_name("house.mplstyle")


@contextmanager
def house_style() -> Iterator[None]:
    """The house style over matplotlib's own defaults, whatever the user's matplotlibrc; also a decorator."""
    with matplotlib.style.context(_STYLE, after_reset=True):
        yield


def save(figures: Figure | Sequence[Figure], path: Path | str, title: str | None = None) -> None:
    """Write a PDF with one page per figure: whole, fonts embedded, and the same bytes for the same figures.

    title: shown by viewers in place of the file's name.

    Raises ValueError where there is no figure.
    """
    pages = [figures] if isinstance(figures, Figure) else list(figures)
    if not pages:
        raise ValueError(f"no figure to write to {path}")
    metadata = {"CreationDate": None, **({"Title": title} if title else {})}
    with whole(path) as temporary, house_style(), PdfPages(temporary, metadata=metadata) as pdf:
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


def last_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest epoch of each data set, model, variant and seed."""
    newest = table.groupby(list(NETWORK))["epoch"].transform("max")
    return table[table["epoch"] == newest]


def network_name(model: str, variant: str) -> str:
    return model if variant == "base" else f"{model} · {variant}"


def blank_page(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches."""
    return Figure(figsize=(width, height))


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """New axes, `left` and `top` in inches from the page's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    bottom = page_height - top - height
    return figure.add_axes((left / page_width, bottom / page_height, width / page_width, height / page_height))


def paper(figure: Figure) -> Axes:
    """Axes over the whole page, in inches from its upper left corner, to put many images on."""
    axes = place(figure, 0, 0, *figure.get_size_inches())
    axes.set(xlim=(0, figure.get_size_inches()[0]), ylim=(figure.get_size_inches()[1], 0))
    axes.set_axis_off()
    figure.suppressComposite = True  # joining the images into one takes longer than drawing each
    return axes


def show(axes: Axes, image: np.ndarray, left: float, top: float, width: float, height: float, **shade) -> None:
    """An image [H, W] on `paper`, in inches, in a white frame that hides the pixel by which some viewers widen it."""
    axes.imshow(image, aspect="auto", extent=(left, left + width, top + height, top), **shade)
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="white", linewidth=1.0))


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
    """`text` in one line, or in two that break at a space; a line that is still wider is cut with an ellipsis."""
    words, first = text.split(" "), text
    while text_width(first, size, weight) > inches and " " in first:
        first = first.rpartition(" ")[0]
    rest = " ".join(words[len(first.split(" ")) :])
    return [fit(line, inches, size, weight) for line in (first.removesuffix(" ·"), rest) if line]


def paragraph(text: str, inches: float, size: float) -> list[str]:
    """`text` in as many lines as it needs; a word that is wider than a line is cut with an ellipsis."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if text_width(longer, size) <= inches:
            lines[-1] = longer
        else:
            lines = [line for line in lines if line] + [fit(word, inches, size)]
    return lines


def line_legend(names: list[str], margin: float, baseline: float) -> list[tuple[float, float, str, str]]:
    """A legend of lines, broken where the page ends: (left, baseline, name, name as it fits the page), in inches."""
    entries: list[tuple[float, float, str, str]] = []
    left = margin
    for name in names:
        shown = fit(name, PAGE_WIDTH - 2 * margin - 0.3, 7)
        width = 0.26 + text_width(shown, 7)
        if entries and left + width > PAGE_WIDTH - margin:
            left, baseline = margin, baseline + 0.17
        entries.append((left, baseline, name, shown))
        left += width + 0.22
    return entries


def draw_legend(figure: Figure, entries: list[tuple[float, float, str, str]], colour_of: dict[str, str]) -> None:
    """The entries of `line_legend`, each beside a line of its colour."""
    for left, baseline, name, text in entries:
        write(figure, left + 0.26, baseline, text, color=INK)
        stroke(figure, left, baseline - 0.035, 0.2, color=colour_of[name], linewidth=1.4)


def share_axis(axes: Axes, height: float, highest: float) -> None:
    """An axis in per cent that is a little wider than 0 to `highest`; rows are inches from the top."""
    end = 100 if highest == 1 else min(100, max(20, 5 * np.ceil(100 * highest / 5 + 0.2)))
    axes.set(xlim=(-0.03 * end, 1.03 * end), ylim=(height, 0), yticks=[])
    step = 25 if end > 60 else 20 if end > 40 else 10 if end > 20 else 5
    narrow = axes.bbox.width < 0.75 * axes.figure.dpi  # three quarters of an inch
    axes.set_xticks(np.arange(0, end + 1, 2 * step if narrow else step))
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(0, end)
    axes.grid(axis="x")
    axes.axvline(EXPECTED_CONTROL, zorder=1, **EXPECTED_LINE)


def log_ticks(low: float, high: float) -> np.ndarray:
    """Round numbers between two positive limits: at least two, at most five where decades allow."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in ([1], [1, 3], [1, 2, 5]):
        ticks = np.ravel(np.multiply.outer(10.0**decades, digits))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            return ticks[:: -(-len(ticks) // 5)]
    ticks = MaxNLocator(4).tick_values(low, high)
    return ticks[(ticks >= low) & (ticks <= high)]


def tick_number(value: float, _: int = 0) -> str:
    """A tick's label with at most four digits."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}".replace("-", "−")
