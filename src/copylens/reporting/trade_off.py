"""A panel of copies against a distance of quality: its axes, the line of real images, and the best trade-offs."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from copylens.reporting.page import INK, ROLES, log_ticks, tick_number

REAL_LINE = {"color": ROLES["control"], "linestyle": (0, (5, 2)), "linewidth": 1}
FRONT_LINE = {"color": INK, "linewidth": 0.8, "alpha": 0.55}


def frame(axes: Axes, distances: pd.Series, end: float) -> None:
    """A logarithmic axis that holds every one of the distances, and copies from 0 to `end` per cent."""
    values = np.log10(distances)
    room = max(0.08 * (values.max() - values.min()), 0.08)
    low, high = 10 ** (values.min() - room), 10 ** (values.max() + room)
    axes.set(xscale="log", xlim=(low, high), ylim=(-0.04 * end, 1.04 * end))
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(tick_number))
    axes.set_yticks(np.arange(0, end + 1, 25 if end > 60 else 10 if end > 20 else 5))
    axes.spines["left"].set_bounds(0, end)
    axes.grid()


def draw_lines(axes: Axes, front: list[tuple[float, float]], real: float) -> list[list[tuple]]:
    """Draw the distance of real images, if it's above 0, and the step line through the front; their segments.

    front: points in the axes' data coordinates, by ascending x.
    """
    (_, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    segments = []
    if real > 0:
        axes.axvline(real, zorder=1, **REAL_LINE)
        segments.append([(real, bottom), (real, top)])
    if len(front):
        # From the upper edge down and to the right, to the right edge.
        x = np.repeat([*(value for value, _ in front), high], 2)[:-1]
        y = np.repeat([top, *(risk for _, risk in front)], 2)[1:]
        axes.plot(x, y, zorder=2, **FRONT_LINE)
        segments += [[start, end] for start, end in itertools.pairwise(zip(x, y, strict=True))]
    return segments
