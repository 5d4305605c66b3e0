"""Drawn anatomy, one file per part of the body: draw(patient, scan, size) -> one image without noise.

`patient` and `scan` are random generators: draws from the first are the same in all images of a patient, draws
from the second differ from one visit to the next. No draw depends on `size`, and every length is in cm or mm,
so that the same patient drawn at another size looks the same. `STORED` in each file is the lowest and the
highest value that a scanner would store.

This file holds the strokes. A *depth* is the distance below a surface, positive inside and negative outside.
Edges are polynomials instead of exponentials, and turns are written out instead of handed to BLAS: images are
float32 and made of exactly rounded operations only (+ - * / and the square root), so every processor draws
the same bits.
"""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation


def place(scan: np.random.Generator, shape: tuple[int, ...], side: float, shift: float, turn: float) -> np.ndarray:
    """Body coordinates of every pixel centre, [axis, *shape], 0 in the middle, in the unit of `side`.

    One pose: shifts and rotations (radians) are normal with the standard deviations `shift` and `turn`.
    """
    axes = [((np.arange(size) + 0.5) / size - 0.5) * side for size in shape]
    points = np.meshgrid(*axes, indexing="ij")
    angles = scan.normal(0, turn, 3)
    if len(shape) == 2:
        cosine, sine = np.cos(angles[0]), np.sin(angles[0])
        rotation = np.array([[cosine, -sine], [sine, cosine]])
    else:
        rotation = Rotation.from_rotvec(angles).as_matrix()
    shifts = scan.normal(0, shift, len(shape))
    return np.stack([axis + move for axis, move in zip(rotate(rotation, points), shifts, strict=True)]).astype(
        np.float32
    )


def rotate(turn: np.ndarray, points) -> list[np.ndarray]:
    """Coordinates in the frame whose axes are the rows of `turn`; one array an axis, as in `points`."""
    return [sum(float(share) * axis for share, axis in zip(row, points, strict=True)) for row in turn]


def soft(depth: np.ndarray, edge: float) -> np.ndarray:
    """Share of a pixel that is inside: 0 at depth -edge, 1/2 at the surface, 1 at depth edge."""
    share = np.clip(depth * (0.5 / edge) + 0.5, 0, 1)
    return share * share * (3 - 2 * share)


def line(distance: np.ndarray, radius, edge: float) -> np.ndarray:
    """Share of a pixel that is inside a line of that radius; one thinner than a pixel fades."""
    return soft(radius - distance, edge) - soft(-radius - distance, edge)


def paint(image: np.ndarray, share: np.ndarray, value) -> None:
    """Lay a tissue of that value over the image, in place; shares between 0 and 1 mix (partial volume)."""
    image += share * (value - image)


def ellipsoid(points: np.ndarray | tuple[np.ndarray, ...], centre, radii, turn: np.ndarray | None = None) -> np.ndarray:
    """Depth below an ellipse's or ellipsoid's surface, to first order; `turn` is its axes, one a row."""
    offsets = [axis - float(middle) for axis, middle in zip(points, centre, strict=True)]
    if turn is not None:
        offsets = rotate(turn, offsets)
    norm2, slope2 = 1e-12, 1e-12
    for offset, radius in zip(offsets, radii, strict=True):
        square = np.square(offset * (1 / float(radius)))
        norm2 = norm2 + square
        slope2 = slope2 + square * (1 / float(radius) ** 2)
    norm = np.sqrt(norm2)
    return (1 - norm) * norm / np.sqrt(slope2)


def segment(points: np.ndarray | tuple[np.ndarray, ...], start, end) -> tuple[np.ndarray, np.ndarray]:
    """(distance from the straight line between two points, share of the way from start to end: 0 to 1)."""
    offsets = [axis - float(first) for axis, first in zip(points, start, strict=True)]
    course = [float(last) - float(first) for first, last in zip(start, end, strict=True)]
    length2 = sum(step * step for step in course)
    along = sum(offset * (step / length2) for offset, step in zip(offsets, course, strict=True))
    along = np.clip(along, 0, 1)
    distance2 = sum((offset - step * along) ** 2 for offset, step in zip(offsets, course, strict=True))
    return np.sqrt(distance2), along


def rotation_2d(degrees: float) -> np.ndarray:
    """Rows: the axes of a frame turned by an angle, in the (y, x) order of an image's axes."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def texture(patient: np.random.Generator, points: np.ndarray | tuple[np.ndarray, ...], cell: float) -> np.ndarray:
    """Smooth random field, about mean 0 and standard deviation 1, whose grains are about one `cell` wide.

    Value noise: random knots, 20 or more cells wide and repeated beyond, with eased interpolation between them,
    so that the field has no kinks. Eased interpolation leaves 0.74 of the knots' variance per axis.
    """
    knots = patient.standard_normal((32 if len(points) == 2 else 20,) * len(points), dtype=np.float32)
    eased = []
    for axis in points:
        knot = np.floor(axis * (1 / cell))
        way = axis * (1 / cell) - knot
        eased.append(knot + way * way * (3 - 2 * way))
    field = map_coordinates(knots, np.stack(eased), order=1, mode="grid-wrap", output=np.float32)
    return field * (1 / 0.74 ** (len(points) / 2))
