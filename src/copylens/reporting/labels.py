"""Names of points in a panel, each near its point and off all others. All in inches."""

import numpy as np
from matplotlib.axes import Axes

from copylens.reporting.page import text_width, wrap

LABEL_SIZE, LABEL_LINE, LABEL_WIDTH, LABEL_GAP, MARKER = 6, 0.105, 1.15, 0.065, 0.05


def name_points(axes: Axes, names: list[str], points: list[tuple], bars: list, segments: list) -> None:
    """Write each point's name near it, off markers and `bars`, and where there is room off the lines `segments`.

    points: (x, y); bars and segments: lists of such; all in the axes' data coordinates.
    """

    def inches(x_y: list[tuple]) -> np.ndarray:
        """Data coordinates in inches from the panel's lower left corner."""
        return (axes.transData.transform(x_y) - axes.bbox.p0) / axes.figure.dpi

    places = inches(points)
    hard = [box_around(inches(bar), 0.01) for bar in bars] + [box_around(at, MARKER) for at in places[:, None]]
    soft = [box_around(inches(segment), 0.012) for segment in segments]
    labels = [wrap(name, LABEL_WIDTH, LABEL_SIZE) for name in names]
    size = axes.bbox.size / axes.figure.dpi
    for lines, at, box in zip(labels, places, label_boxes(labels, places, hard, soft, size), strict=True):
        draw_label(axes, lines, at / size, box / np.tile(size, 2), size[1])


def box_around(points: np.ndarray, margin: float) -> np.ndarray:
    """[left, bottom, right, top] around `points` [n, 2]."""
    return np.array([*(points.min(axis=0) - margin), *(points.max(axis=0) + margin)])


def label_boxes(
    labels: list[list[str]], places: np.ndarray, hard: list[np.ndarray], soft: list[np.ndarray], size: np.ndarray
) -> list[np.ndarray]:
    """Boxes [left, bottom, right, top] of the labels, near their points `places` [n, 2] and apart from each other.

    All in inches. Labels stay within `size` and off the boxes `hard`, if there is room also off the boxes `soft`;
    they stand as near as they can and rather on the right. The most crowded points choose first.
    """
    hard, soft, boxes = list(hard), list(soft), {}
    crowd = [(np.hypot(*(places - at).T) < 0.6).sum() for at in places]
    for number in sorted(range(len(places)), key=lambda number: -crowd[number]):
        lines, at = labels[number], places[number]
        extent = np.array([max(text_width(line, LABEL_SIZE) for line in lines) + 0.04, LABEL_LINE * len(lines)])
        candidates: list[tuple[float, int, np.ndarray]] = []
        for distance in (LABEL_GAP, *np.arange(0.1, 1.4, 0.06)):
            for turn in np.arange(16) / 8 * np.pi:
                way = np.array([np.cos(turn), np.sin(turn)])
                # The label's side or corner that faces the point lies at `distance` from it.
                middle = at + distance * way + extent / 2 * np.clip(1.6 * way, -1, 1)
                box = np.r_[middle - extent / 2, middle + extent / 2]
                outside = (box[:2] < 0).any() or (box[2:] > size).any()
                cost = 100 * outside + 10 * overlaps(box, hard) + 0.4 * overlaps(box, soft)
                candidates.append((cost + distance - 0.03 * way[0], len(candidates), box))
        boxes[number] = box = min(candidates)[2]
        hard.append(box)
        # Later labels also keep off the hair line that leads to this one.
        soft += [box_around(point[None], 0.01) for point in np.linspace(at, np.clip(at, box[:2], box[2:]), 6)]
    return [boxes[number] for number in range(len(places))]


def overlaps(box: np.ndarray, others: list[np.ndarray]) -> int:
    if not others:
        return 0
    boxes = np.stack(others)
    return int(((box[:2] < boxes[:, 2:]) & (boxes[:, :2] < box[2:])).all(axis=1).sum())


def draw_label(axes: Axes, lines: list[str], at: np.ndarray, box: np.ndarray, height: float) -> None:
    """The label in its box, and a hair line to its point where they are apart; shares of the axes, `height` inches."""
    nearest = np.clip(at, box[:2], box[2:])
    if np.hypot(*((nearest - at) * axes.bbox.size / axes.figure.dpi)) > 0.12:
        axes.plot(*np.array([at, nearest]).T, color="#BBBBBB", linewidth=0.5, transform=axes.transAxes, zorder=2.5)
    align = "left" if box[0] > at[0] else "right" if box[2] < at[0] else "center"
    x = {"left": box[0], "right": box[2], "center": (box[0] + box[2]) / 2}[align]
    for line, text in enumerate(lines):
        y = box[3] - LABEL_LINE * (line + 0.76) / height
        axes.text(x, y, text, size=LABEL_SIZE, ha=align, transform=axes.transAxes, zorder=5)
