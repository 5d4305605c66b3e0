"""Coronary CT angiography: a cube of 24 mm around a diseased artery, in Hounsfield units. Lengths in mm.

After the plaque sub-volumes of Dar et al. (2023), "Investigating Data Memorization in 3D Latent Diffusion
Models for Medical Image Synthesis", https://arxiv.org/abs/2307.01148: a contrast-filled artery in fat, on
heart muscle.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from copylens.data.phantoms import ellipsoid, line, paint, place, rotate, soft, texture

STORED = (-1024, 3071)
SIDE = 24.0  # of the cube
FAT, MUSCLE, LUNG, WALL = -100, 100, -830, 40


def draw(patient: np.random.Generator, scan: np.random.Generator, size: int) -> np.ndarray:
    """float32 [size, size, size] HU."""
    points = place(scan, (size, size, size), SIDE, shift=0.35, turn=0.05)
    edge = math.hypot(0.25, SIDE / size)
    enhancement = patient.uniform(250, 450)
    arrival = scan.normal(0, 12)  # the contrast bolus is never the same twice

    volume = np.full(points.shape[1:], FAT, np.float32)
    grain = texture(patient, points, 1.6)
    volume += patient.uniform(15, 35) * grain
    _surroundings(patient, points, edge, volume, grain, enhancement + arrival)
    if patient.random() < 0.5:  # a vein runs beside the artery, less enhanced
        vein = _course(patient, patient.uniform(-6, 6, 3), points)
        _, distance = vein.distance()
        paint(volume, line(distance, patient.uniform(0.8, 1.8), edge), patient.uniform(90, 190))
    _artery(patient, points, edge, volume, enhancement + arrival)
    return volume


@dataclass(frozen=True)
class _Course:
    """A vessel's middle line: u and v are cubic polynomials of the way along a straight axis."""

    points: list  # [along, u, v]: the volume's points in the vessel's frame
    u_coefficients: list  # of the third, second and first power
    v_coefficients: list

    def u(self, along):
        return _cubic(self.u_coefficients, along)

    def v(self, along):
        return _cubic(self.v_coefficients, along)

    def distance(self):
        """(way along the axis, distance from the middle line to first order)."""
        along, u, v = self.points
        slope2 = 0
        for third, second, first in (self.u_coefficients, self.v_coefficients):
            slope2 = slope2 + np.square((3 * third * along + 2 * second) * along + first)
        return along, np.sqrt((np.square(u - self.u(along)) + np.square(v - self.v(along))) / (1 + slope2))


def _cubic(coefficients, along):
    third, second, first = coefficients
    return ((third * along + second) * along + first) * along


def _surroundings(patient, points, edge, volume, grain, blood):
    """Heart muscle below a curved surface; under it often a chamber with contrast, beyond the fat lung."""
    frame = _random_frame(patient)
    height, u, v = rotate(frame, points)
    bend = patient.normal(0, 0.025, 2).tolist()
    surface = bend[0] * u * u + bend[1] * v * v + patient.normal(0, 0.15) * np.abs(u + patient.normal(0, 4))
    depth = surface + patient.uniform(-7, 2) - height
    paint(volume, soft(depth, math.hypot(edge, 0.5)), MUSCLE + patient.uniform(8, 18) * grain)
    thickness = patient.uniform(3, 18)
    paint(volume, soft(depth - thickness, math.hypot(edge, 0.6)), blood * patient.uniform(0.8, 1.05))
    pericardium = patient.uniform(5, 28) + patient.uniform(-0.3, 0.3) * u + patient.uniform(-0.3, 0.3) * v
    beyond = height - surface - pericardium
    paint(volume, line(beyond, 0.5, edge), 20)
    paint(volume, soft(beyond - patient.uniform(0.5, 5), edge), LUNG)


def _artery(patient, points, edge, volume, blood):
    """A bent, tapering artery with one branch; one to four plaques in its wall."""
    course = _course(patient, patient.normal(0, 1.5, 3), points)
    position, distance = course.distance()
    calibre, taper = patient.uniform(1.1, 2.5), patient.uniform(0, 0.025)
    radius = calibre * (1 - taper * position)
    wall = patient.uniform(0.3, 0.7)

    # The branch leaves the artery's middle line at the same place in both their frames.
    start, angle = patient.uniform(-7, 7), float(np.deg2rad(patient.uniform(35, 80)))
    around = patient.uniform(0, 2 * math.pi)
    along, u, v = course.points
    (sideways, across) = rotate(_turn(around), (u - course.u(start), v - course.v(start)))
    forward, lateral = rotate(_turn(angle), (along - start, sideways))
    across = across - patient.normal(0, 0.02) * forward * forward
    lateral = lateral - patient.normal(0, 0.02) * forward * forward
    branch_distance = np.sqrt(lateral * lateral + across * across)
    branch_radius = calibre * patient.uniform(0.4, 0.75)
    has_branch = soft(forward, edge)

    tube, branch = radius + wall - distance, branch_radius + wall - branch_distance
    paint(volume, soft(tube, edge), WALL)
    paint(volume, has_branch * soft(branch, edge), WALL)
    lumen = np.maximum(line(distance, radius, edge), has_branch * line(branch_distance, branch_radius, edge))
    paint(volume, lumen, blood)
    for _ in range(patient.integers(1, 5)):
        _plaque(patient, course, calibre, edge, volume)


def _plaque(patient, course, calibre, edge, volume):
    """A spindle in the wall: calcified (500 to 1400 HU), soft (10 to 80 HU), or soft with a hard core."""
    place_along, around = patient.uniform(-9, 9), patient.uniform(0, 2 * math.pi)
    outwards = np.array([0, np.cos(around), np.sin(around)])
    frame = np.stack([[1, 0, 0], outwards, [0, -outwards[2], outwards[1]]])
    centre = np.array([place_along, course.u(place_along), course.v(place_along)])
    kind, hardness = patient.random(), patient.uniform(500, 1400)
    radii = np.array([patient.uniform(1.0, 4.5), patient.uniform(0.5, 1.2), patient.uniform(0.8, 1.9)])
    centre = centre + outwards * calibre * patient.uniform(0.75, 1.1)
    fat_rich = patient.uniform(10, 80)
    if kind > 0.45:
        paint(volume, soft(ellipsoid(course.points, centre, radii * (1.2, 1.3, 1.2), frame), edge), fat_rich)
    if kind < 0.75:
        core = radii if kind <= 0.45 else radii * 0.6
        paint(volume, soft(ellipsoid(course.points, centre, core, frame), edge), hardness)


def _random_frame(patient):
    """Three orthogonal axes, one a row, all directions equally likely."""
    return Rotation.from_quat(patient.normal(size=4)).as_matrix()


def _turn(angle):
    """Rows: the axes of a plane's frame turned by an angle in radians."""
    return ((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle)))


def _course(patient, through, points):
    """A vessel that crosses the point `through` in a random direction."""
    moved = [axis - float(middle) for axis, middle in zip(points, through, strict=True)]
    coefficients = patient.normal(0, (0.0012, 0.022, 0.15), (2, 3)).tolist()
    return _Course(rotate(_random_frame(patient), moved), *coefficients)
