"""Losses of every network behind a study."""

import pandas as pd
from matplotlib.figure import Figure

from copylens.figures import PAGE_WIDTH, blank_page, fit, house_style, place, require, write

COLUMNS = ("panel", "network", "step", "name", "value")

# All in inches.
LEFT, RIGHT, HEADER, FOOTER, GAP_X, GAP_Y, HEIGHT = 0.5, 0.15, 0.6, 0.7, 0.45, 0.62, 1.15


@house_style()
def draw(losses: pd.DataFrame) -> Figure:
    """Small multiples, data sets down and networks across; one line per loss, on a logarithmic scale where it can be.

    losses: panel (the data set), network, step, name (of the loss), value. Where a network has several seeds, each
    is a line of its own.

    Raises ValueError where columns are missing or there is no row.
    """
    require(losses, COLUMNS, "losses")
    panels = list(dict.fromkeys(losses["panel"]))
    networks = list(dict.fromkeys(losses["network"]))
    names = sorted(losses["name"].unique(), key=lambda name: (name != "loss", name))
    height = HEADER + len(panels) * (HEIGHT + GAP_Y) - GAP_Y + FOOTER
    figure = blank_page(PAGE_WIDTH, height)
    write(figure, 0.15, 0.22, "Training curves", size=9, weight="bold")
    width = (PAGE_WIDTH - LEFT - RIGHT - GAP_X * (len(networks) - 1)) / len(networks)
    for row, panel in enumerate(panels):
        for column, network in enumerate(networks):
            left, top = LEFT + column * (width + GAP_X), HEADER + row * (HEIGHT + GAP_Y)
            of_network = losses[(losses["panel"] == panel) & (losses["network"] == network)]
            if of_network.empty:
                continue
            axes = place(figure, left, top, width, HEIGHT)
            axes.set_title(fit(f"{panel} · {network}", width, 7.5, "bold", keep="end"))
            for number, name in enumerate(names):
                curve = of_network[of_network["name"] == name]
                # A step that goes back is the beginning of another seed's curve.
                for _, one in curve.groupby((curve["step"].diff() < 0).cumsum()):
                    axes.plot(one["step"], one["value"], color=f"C{number}", label=name)
            axes.set_xlim(left=0)
            if (of_network["value"] > 0).all():
                axes.set_yscale("log")
            if row == len(panels) - 1:
                axes.set_xlabel("step")
    handles = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        [name.replace("_", " ") for name in handles],
        loc="lower center",
        ncols=min(6, len(handles)),
        frameon=False,
        fontsize=6.5,
    )
    return figure
