"""Knee MRI, proton density without fat suppression: fat and marrow bright, muscle dark, cortex black.

Lengths in mm, from the joint's centre: z to the head, y to the back, x to the patient's left or right.
"""

import math

import numpy as np
from scipy.spatial.transform import Rotation

from copylens.data.phantoms import ellipsoid, line, paint, place, rotate, segment, soft, texture

STORED = (0, 4095)
SIDE = 115.0  # of the cube
FAT, MARROW, MUSCLE, CARTILAGE, FLUID, DARK, BLOOD = 2400, 2100, 850, 1500, 3100, 180, 120


def draw(patient: np.random.Generator, scan: np.random.Generator, size: int) -> np.ndarray:
    """float32 [size, size, size] signal; feet to head, front to back, left to right."""
    points = place(scan, (size, size, size), SIDE, shift=0.9, turn=0.015)
    edge = math.hypot(0.6, SIDE / size)
    flexion = np.deg2rad(patient.uniform(0, 38) + scan.normal(0, 0.8))
    # A right knee is a left one in a mirror: x counts from the inner (medial) to the outer side.
    points[2] *= float(patient.choice([-1, 1]))
    points -= patient.normal(0, 5, (3, 1, 1, 1)).astype(np.float32)
    knee = patient.uniform(0.84, 1.16)  # size of the bones
    points /= knee
    edge /= knee

    volume = np.zeros(points.shape[1:], np.float32)
    z, y, x = points
    grain, coarse = texture(patient, points, 4.0), texture(patient, points, 11.0)
    turn = Rotation.from_rotvec([0, 0, flexion]).as_matrix()
    turned = rotate(turn, (z - 20, y - 4, x))
    thigh = np.stack([turned[0] + 20, turned[1] + 4, turned[2]])

    leg = _leg(patient, points, thigh, edge, volume)
    _fluid(patient, thigh, points, edge, volume)
    gap = patient.uniform(2.5, 7)
    thickness = patient.uniform(1.2, 3.6)  # of the cartilage
    marrow = MARROW * patient.uniform(0.75, 1.1) + 160 * grain + 220 * coarse
    femur = _femur(patient, thigh)
    tibia = _tibia(patient, points, gap)
    _joint(patient, points, edge, volume, gap)
    for depth, lowest in ((femur, 32 - thigh[0]), (tibia, z + gap + 8)):
        cartilage = np.minimum(np.minimum(depth + thickness, lowest), 37 - np.abs(x))
        paint(volume, soft(cartilage, edge), CARTILAGE)
    for depth in (femur, tibia, _fibula(patient, points)):
        _bone(depth, marrow, edge, volume)
    _lesions(patient, points, np.maximum(femur, tibia), edge, volume)
    _patella(patient, thigh, points, edge, volume, marrow, thickness)
    coil = 1 + patient.uniform(-0.3, 0.3) * y / SIDE + patient.uniform(-0.3, 0.3) * z / SIDE
    return volume * coil * (1 + 0.04 * leg * grain) * scan.normal(1, 0.02)


def _bone(depth, marrow, edge, volume):
    """Marrow in a black cortex 1.6 mm thick."""
    paint(volume, soft(depth, edge), DARK)
    paint(volume, soft(depth - 1.6, edge), marrow)


def _leg(patient, points, thigh, edge, volume):
    """Skin, fat and muscles, and the vessels behind the joint. Returns the share inside the skin."""
    z, y, x = points
    wide, deep = patient.uniform(50, 72), patient.uniform(48, 66)
    cone = 1 + patient.uniform(0.0005, 0.003) * z
    across = np.sqrt(np.square((y - patient.uniform(2, 10)) / deep) + np.square(x / wide))
    skin = (1 - across / cone) * min(wide, deep)
    fat = patient.uniform(3, 14)
    inside = soft(skin, edge)
    paint(volume, inside, DARK + 500)
    paint(volume, soft(skin - 1.5, edge), FAT * patient.uniform(0.85, 1.1))
    bulk, signal = patient.uniform(0.75, 1.25), MUSCLE * patient.uniform(0.8, 1.25)
    deep_enough = soft(skin - fat, math.hypot(edge, 1))
    stripes = 1 + 0.2 * texture(patient, (0.3 * z, y, x), 3.0)
    # Middle (z, y, x) and half-axes: vasti, hamstrings; gastrocnemius, then the deep and outer calf.
    muscles = [
        (thigh, (66, -14, -32), (50, 25, 20)),
        (thigh, (68, -18, 28), (46, 24, 22)),
        (thigh, (62, 36, -28), (56, 17, 18)),
        (thigh, (60, 38, 27), (54, 17, 17)),
        (points, (-38, 38, -19), (62, 17, 20)),
        (points, (-42, 38, 19), (58, 17, 20)),
        (points, (-64, 18, 4), (50, 20, 32)),
        (points, (-62, -6, 34), (50, 20, 14)),
    ]
    for where, middle, radii in muscles:
        middle = np.array(middle) + patient.normal(0, 3.5, 3)
        radii = np.array(radii) * bulk * patient.uniform(0.8, 1.2, 3)
        paint(volume, soft(ellipsoid(where, middle, radii), math.hypot(edge, 1)) * deep_enough, signal * stripes)
    side, behind = patient.normal(0, 5), patient.uniform(30, 40)
    for shift, radius, value in (
        (0, patient.uniform(2.5, 4), BLOOD),
        (7, patient.uniform(2.5, 5), FLUID * 0.8),
    ):
        distance = segment(points, (-90, behind, side + shift), (90, behind - 4, side + shift))[0]
        paint(volume, line(distance, radius, edge), value)
    return inside


def _fluid(patient, thigh, points, edge, volume):
    """Joint fluid above the kneecap and beside the condyles, and sometimes a Baker's cyst."""
    amount = patient.uniform(0, 1) ** 2
    pouch = ellipsoid(thigh, (52, -30, patient.normal(0, 5)), (10 + 24 * amount, 1.5 + 9 * amount, 12 + 22 * amount))
    paint(volume, soft(pouch, edge), FLUID)
    capsule = ellipsoid(points, (8, -2, 0), (26, 26 + 6 * amount, 38 + 6 * amount))
    paint(volume, amount * soft(capsule, edge), FLUID)
    height, radii = patient.uniform(-20, 25), patient.uniform((6, 4, 4), (26, 11, 12))
    if patient.random() < 0.25:
        paint(volume, soft(ellipsoid(points, (height, 42, -20), radii), edge), FLUID)


def _femur(patient, thigh):
    """Depth below the femur's surface: two condyles, the flare above them, and the shaft."""
    depth = np.full(thigh.shape[1:], -1e3, np.float32)
    spread = patient.uniform(19, 24)
    for sign in (-1, 1):
        radii = np.array([21, 30, 15]) * patient.uniform(0.9, 1.1, 3)
        centre = (21 + patient.normal(0, 1.5), 6 + patient.normal(0, 2.5), sign * spread)
        depth = np.maximum(depth, ellipsoid(thigh, centre, radii))
    flare = ellipsoid(thigh, (36, -1, 0), (30, patient.uniform(18, 24), patient.uniform(28, 36)))
    lean = patient.normal(0, 5)
    shaft = patient.uniform(11, 16) - segment(thigh, (30, 0, 0), (120, -2, lean))[0]
    return np.maximum(np.maximum(depth, flare), shaft)


def _tibia(patient, points, gap):
    """Depth below the tibia's surface: a plateau that tapers into the shaft, its spine and tuberosity."""
    z, y, x = points
    slope, valgus = patient.uniform(0, 0.16), patient.normal(0, 0.04)
    top = -gap - z - slope * y - valgus * x
    wide, deep, shaft = patient.uniform(34, 40), patient.uniform(22, 28), patient.uniform(12, 17)
    share = 1 / (1 + np.square(np.maximum(-gap - z, 0) / patient.uniform(22, 34)))
    width, depth = shaft + (wide - shaft) * share, shaft + (deep - shaft) * share
    ring = 1 - np.sqrt(np.square(x / width) + np.square((y - 2) / depth))
    body = np.minimum(ring * np.minimum(width, depth), top)
    spine = ellipsoid(points, (-gap, 2, 0), (patient.uniform(5, 9), 7, patient.uniform(6, 10)))
    tuberosity = ellipsoid(points, (-gap - 34, -20, 3), (14, patient.uniform(8, 13), 11))
    return np.maximum(np.maximum(body, spine), tuberosity)


def _fibula(patient, points):
    """Depth below the fibula's surface."""
    head = (patient.uniform(-24, -13), patient.uniform(16, 24), patient.uniform(30, 38))
    return patient.uniform(5, 8) - segment(points, head, (-120, head[1] - 2, head[2]))[0]


def _joint(patient, points, edge, volume, gap):
    """Menisci, cruciate and collateral ligaments."""
    z, y, x = points
    middle = -gap / 2 + 1
    for sign in (-1, 1):
        ring, thick = patient.uniform(13, 18), patient.uniform(2.5, 5)
        away = np.sqrt(np.square((y - 2) / 1.2) + np.square(x - sign * 20))
        distance = np.sqrt(np.square(away - ring) + np.square(1.4 * (z - middle)))
        opening = soft(sign * (x - sign * 9), 4)  # a crescent, open towards the middle
        torn = patient.random() < 0.3
        paint(volume, opening * line(distance, thick, edge), DARK + (900 if torn else 0))
    bands = [
        (
            (-gap, -12, -2),
            (24, 18, 9),
            patient.uniform(2.5, 5),
            250 + 1200 * (patient.random() < 0.2),
        ),  # anterior
        ((-gap - 6, 24, 0), (18, 2, -8), patient.uniform(3.5, 6), DARK),  # posterior
        ((-45, 0, -34), (24, 4, -40), patient.uniform(1.5, 3), DARK),  # medial collateral
        ((-18, 18, 38), (24, 6, 40), patient.uniform(1.5, 3), DARK),  # lateral collateral
    ]
    for start, end, radius, value in bands:
        distance = segment(points, np.array(start) + patient.normal(0, 2, 3), np.array(end) + patient.normal(0, 2, 3))
        paint(volume, line(distance[0], radius, edge), value)


def _lesions(patient, points, bone, edge, volume):
    """Marrow: up to three dark oedemas, infarcts or cysts."""
    for _ in range(patient.integers(0, 4)):
        centre = patient.uniform((-35, -15, -30), (45, 22, 30))
        radii, value = patient.uniform(4, 15, 3), float(patient.choice([500, 1000, FLUID]))
        share = soft(ellipsoid(points, centre, radii), math.hypot(edge, 2)) * soft(bone - 1.6, edge)
        paint(volume, patient.uniform(0.6, 1) * share, value)


def _patella(patient, thigh, points, edge, volume, marrow, thickness):
    """Kneecap with its cartilage, the tendon below it and the quadriceps tendon above it."""
    centre = np.array([patient.uniform(18, 42), patient.uniform(-43, -36), patient.normal(0, 4)])
    radii = np.array([patient.uniform(16, 23), patient.uniform(7, 11), patient.uniform(17, 23)])
    depth = ellipsoid(thigh, centre, radii)
    paint(volume, soft(np.minimum(depth + thickness, thigh[1] - float(centre[1])), edge), CARTILAGE)
    pole = np.array([radii[0], 0, 0])
    for where, lower, upper in ((points, (-38, -34, 3), centre - pole), (thigh, centre + pole, (95, -34, 0))):
        squashed = (where[0], where[1], 0.45 * where[2])  # a band, wider than thick
        start, end = np.array(lower) * (1, 1, 0.45), np.array(upper) * (1, 1, 0.45)
        paint(volume, line(segment(squashed, start, end)[0], patient.uniform(2, 3.5), edge), DARK)
    _bone(depth, marrow, edge, volume)
