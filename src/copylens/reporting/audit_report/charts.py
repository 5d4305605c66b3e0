"""The reports' figures, drawn at a place on a page; `as_svg` puts one by itself into the web page."""

import io
import re
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from copylens.reporting.audit_report import bands
from copylens.reporting.audit_report.numbers import known, name_of, number, share
from copylens.reporting.page import (
    FAINT,
    INK,
    QUIET,
    ROLES,
    blank_page,
    fit,
    house_style,
    place,
    text_width,
    tick_number,
    write,
)

GROUPS = {name: ROLES.get(name, "#B9770E") for name in bands.GROUPS}
DETECTORS = ("#33658A", "#E09F3E", "#7B3E5D", "#6BAA9A", "#8C5E3C", "#9AA5CE")
MARKERS = "os^Dvp"
BINS = 48
HIGHEST = 0.55  # of a row's height, for a share of all; the rest is for its number
GAP = 1  # pixels between the slices of a volume

# All in inches.
WEB_WIDTH, NAMES, BELOW = 3.3, 0.95, 0.38
HISTOGRAM, EXPOSURE, TRANSFORM, LEGEND = 2.0, 2.2, 0.28, 0.4


def histogram(
    figure: Figure, left: float, top: float, width: float, detector: str, groups: dict, tau: float | None
) -> None:
    """Similarities [n] of each group to their nearest training image, a row per group, with the threshold.

    Values beyond the 0.5th and 99.5th percentile are drawn at the edge.
    """
    values = {name: _finite(groups.get(name, [])) for name in GROUPS}
    pooled = np.concatenate([*values.values(), [tau] if known(tau) else []])
    axes = _rows(figure, left, top, width, detector, {name: f"{len(of):,}" for name, of in values.items()})
    axes.set_xlabel("similarity to the nearest training image")
    low, high = np.quantile(pooled, [0.005, 0.995]) if len(pooled) else (0.0, 1.0)
    low, high = (min(low, tau), max(high, tau)) if known(tau) else (low, high)
    margin = 0.04 * (high - low) or 0.5
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    for position, (name, colour) in enumerate(reversed(GROUPS.items())):
        heights, _ = np.histogram(np.clip(values[name], edges[0], edges[-1]), edges)
        heights = position + 0.84 * heights / max(heights.max(), 1)
        beyond = edges[:-1] >= tau if known(tau) else np.zeros(BINS, bool)
        for part, alpha in ((beyond, 0.95), (~beyond, 0.45)):
            tops = np.where(part, heights, position)
            axes.stairs(tops, edges, baseline=position, fill=True, color=colour, alpha=alpha, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(tick_number))
    if known(tau):
        axes.axvline(tau, color=ROLES["threshold"], linewidth=0.9)
        right = tau > (edges[0] + edges[-1]) / 2
        axes.annotate(
            f"threshold {tick_number(tau)}",
            (tau, len(GROUPS)),
            xytext=(2 if right else -2, 2),
            textcoords="offset points",
            size=6.5,
            ha="right" if right else "left",
        )


def shares(figure: Figure, left: float, top: float, width: float, detector: str, groups: dict) -> None:
    """Shares of each group by band of similarity (`bands`), a row per group: no number of an image."""
    axes = _rows(figure, left, top, width, detector, dict.fromkeys(GROUPS, ""))
    n = len(bands.BOUNDS) + 1
    axes.set(xlim=(0, n), xlabel="similarity, by percentiles of calibration images")
    axes.set_xticks(range(1, n), bands.BOUNDS)
    for position, (name, colour) in enumerate(reversed(GROUPS.items())):
        for band, value in enumerate(groups.get(name, ())):
            above = band == n - 1
            height = HIGHEST * (value or 0)
            box = Rectangle(
                (band + 0.04, position), 0.92, height, color=colour, alpha=0.95 if above else 0.45, linewidth=0
            )
            axes.add_patch(box)
            style = {"size": 6.5, "color": QUIET if value is None else INK, "weight": "bold" if above else "normal"}
            text = {"xytext": (0, 1.5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
            axes.annotate(bands.band_words(value), (band + 0.5, position + height), **text, **style)
    axes.axvline(n - 1, color=ROLES["threshold"], linewidth=0.9)


def _rows(figure: Figure, left: float, top: float, width: float, detector: str, counts: dict[str, str]) -> Axes:
    """Axes below a detector's name, with a row for each group, its name and count on the left."""
    write(figure, left, top + 0.12, fit(name_of(detector), width, 7.5, "bold"), size=7.5, weight="bold")
    axes = place(figure, left + NAMES, top + 0.32, width - NAMES - 0.05, HISTOGRAM - 0.32 - BELOW)
    axes.set(ylim=(0, len(GROUPS)), yticks=[])
    axes.spines["left"].set_visible(False)
    label = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "va": "bottom"}
    for position, name in enumerate(reversed(GROUPS)):
        axes.axhline(position, color=FAINT, linewidth=0.5)
        axes.annotate(name, (0, position), xytext=(-6, 8 if counts[name] else 4), weight="bold", **label)
        axes.annotate(counts[name], (0, position), xytext=(-6, 0), size=6, **label)
    return axes


def histogram_words(groups: dict, tau: float | None) -> str:
    """The share of each group above the threshold, in a sentence."""
    values = {name: _finite(groups.get(name, [])) for name in GROUPS}
    if not known(tau):
        return "The threshold is not known."
    parts = [f"{share(float(np.mean(of > tau)))} of {name}" for name, of in values.items() if len(of)]
    return f"Above the threshold of {number(tau)}: {', '.join(parts) or 'nothing'}."


def flat(image: np.ndarray) -> np.ndarray:
    """An image [H, W] unchanged; of a volume [D, H, W] the middle slices of its axes side by side, NaN around them."""
    if image.ndim == 2:
        return np.asarray(image, float)
    planes = [np.take(image, size // 2, axis=axis) for axis, size in enumerate(image.shape)]
    height = max(plane.shape[0] for plane in planes)
    sheet = np.full((height, sum(plane.shape[1] for plane in planes) + 2 * GAP), np.nan)
    left = 0
    for plane in planes:
        top = (height - plane.shape[0]) // 2
        sheet[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
        left += plane.shape[1] + GAP
    return sheet


def difference_limit(pairs: dict[int, tuple[np.ndarray, np.ndarray]]) -> float:
    """Where the colours of differences end: their 99.8th percentile over all pairs, rounded up to hundredths."""
    differences = [np.abs(synthetic - training).ravel() for synthetic, training in pairs.values()]
    return float(np.ceil(100 * max(np.quantile(np.concatenate(differences), 0.998), 0.02)) / 100) if pairs else 1.0


def sensitivity_height(verdict: dict) -> float:
    return LEGEND + TRANSFORM * max(1, len(verdict["sensitivity"])) + BELOW


def sensitivity(figure: Figure, left: float, top: float, width: float, verdict: dict) -> None:
    """The sensitivity, a row per transform: of the whole rule with its interval, and of each detector."""
    rows, detectors = verdict["sensitivity"], verdict["rule"]["detectors"]
    names = [fit(name_of(row["transform"]), 1.3, 6.5) for row in rows]
    indent = max([text_width(name, 6.5) for name in names], default=0) + 0.1
    height = sensitivity_height(verdict)
    axes = place(figure, left + indent, top + LEGEND, width - indent - 0.1, height - LEGEND - BELOW)
    axes.set(xlim=(-2, 102), ylim=(len(rows), 0), xlabel="planted copies found, %")
    axes.set_yticks(np.arange(len(rows)) + 0.5, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    # One below the other, so that none hides another: the rule, then each detector.
    steps = np.linspace(0.14, 0.86, 1 + len(detectors))
    for position, row in enumerate(rows):
        heights = position + steps
        for detector, height, colour, marker in zip(detectors, heights[1:], DETECTORS, MARKERS, strict=False):
            if known(row["alone"].get(detector)):
                style = {"color": "white", "markeredgecolor": colour, "ms": 3.4, "clip_on": False}
                axes.plot(100 * row["alone"][detector], height, marker, **style)
        if known(row["low"]) and known(row["high"]):
            axes.plot([100 * row["low"], 100 * row["high"]], [heights[0]] * 2, color=INK, linewidth=1.1)
        if known(row["rule"]):
            axes.plot(100 * row["rule"], heights[0], "o", color=INK, ms=3.8, clip_on=False)
    if known(verdict["policy"]["sensitivity"]):
        axes.axvline(100 * verdict["policy"]["sensitivity"], color=INK, linestyle=(0, (3, 1.6)), linewidth=0.7)
    x = left
    hollow = [(name_of(name), "white", *mark) for name, *mark in zip(detectors, DETECTORS, MARKERS, strict=False)]
    for name, face, edge, marker in [("whole rule", INK, INK, "o"), *hollow]:
        needed = 0.12 + text_width(name, 6.5)
        if x + needed > left + width:
            x, top = left, top + 0.14
        key = place(figure, x, top + 0.04, 0.1, 0.1)
        key.set_axis_off()
        key.plot([0], [0], marker, color=face, markeredgecolor=edge, ms=3.8)
        write(figure, x + 0.12, top + 0.12, name, size=6.5)
        x += needed + 0.14


def exposure(figure: Figure, left: float, top: float, width: float, verdict: dict) -> None:
    """Training patients exposed by the number of samples, with the interval, and those that ever more would name."""
    words = verdict["exposure"]
    curve = [[point[key] for key in ("released", "patients", "low", "high")] for point in words["curve"]]
    points = np.array([row for row in curve if all(map(known, row))], float)
    axes = place(figure, left + 0.42, top + 0.2, width - 0.52, EXPOSURE - 0.2 - BELOW)
    axes.set(xlabel="samples released", ylabel="patients exposed")
    allowed = verdict["policy"]["patients"]
    patients = verdict["counts"]["training_patients"]
    if len(points):
        released, exposed, low, high = points.T
        axes.plot(released, exposed, color=ROLES["synthetic"], linewidth=1.4)
        axes.fill_between(released, low, high, color=ROLES["synthetic"], alpha=0.15, linewidth=0)
    if known(words["chao1"]) and words["chao1"] > 0:
        axes.axhline(words["chao1"], color=ROLES["training"], linestyle=(0, (1, 1.4)), linewidth=1)
        _on_line(axes, words["chao1"], f"ever more samples {tick_number(round(words['chao1']))}", ROLES["training"])
    if known(allowed) and known(patients):
        axes.axhline(allowed * patients, color=INK, linestyle=(0, (3, 1.6)), linewidth=0.8)
        _on_line(axes, allowed * patients, f"policy {tick_number(allowed * patients)}", INK)
    axes.set_xlim(0, max(points[:, 0].max() if len(points) else 1, 1))
    # Room for the words on the highest line, and none for patients that there aren't.
    axes.set_ylim(0, max(1.04 * axes.get_ylim()[1], 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


@house_style()
def as_svg(
    name: str, height: float, draw: Callable[[Figure, float, float, float], None], title: str, text: str
) -> dict:
    """A figure of its own as SVG to be put into HTML: letters are paths, all ids begin with `name`.

    draw: takes figure, left, top and width in inches. title, text: for screen readers; the page escapes them.
    """
    figure = blank_page(WEB_WIDTH + 0.2, height + 0.16)
    draw(figure, 0.1, 0.08, WEB_WIDTH)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style).*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    head, body = svg.removeprefix("<svg ").split(">", 1)
    box = next(iter(re.findall(r'viewBox="[^"]*"', head)))
    return {"name": name, "box": box, "body": body.removesuffix("</svg>\n"), "title": title, "text": text}


def _on_line(axes, height: float, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        size=6.5,
        color=colour,
    )


def _finite(values) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]
