"""Frontal chest radiograph: bones bright, lungs dark, the patient's left on the right. Lengths in cm.

Attenuation is added up along the beam, in cm of soft tissue, and shown through a saturating curve, as a
detector's display does: so ribs are seen through the heart, and a large patient has flatter lungs.
"""

import math
from itertools import pairwise

import numpy as np

from copylens.data.phantoms import ellipsoid, line, place, rotation_2d, segment, soft, texture

STORED = (0, 4095)
SIDE = 34.0  # of the detector


def draw(patient: np.random.Generator, scan: np.random.Generator, size: int) -> np.ndarray:
    """float32 [size, size] grey values, rows from head to feet."""
    points = place(scan, (size, size), SIDE, shift=0.25, turn=0.01)
    breath = scan.normal(0, 0.2)  # cm by which the diaphragm is lower
    exposure = scan.normal(1, 0.012)
    edge = math.hypot(0.15, SIDE / size)
    chest = _chest(patient, breath)

    tissue, wall = _body(patient, points, edge, chest)
    air, lungs = _lungs(patient, points, edge, chest)
    heart = _mediastinum(patient, points, edge, chest)
    air *= 1 - heart
    disease = _disease(patient, points, edge, chest)
    vessels = _vessels(patient, points, edge, chest)
    air *= np.clip(1 - disease - vessels, 0.05, 1)
    air = np.maximum(air, _gas(patient, points, edge, chest))
    tissue *= 1 - patient.uniform(0.74, 0.84) * air
    bones = _ribs(patient, points, edge, chest) + _spine_and_shoulders(patient, points, edge, chest)
    attenuation = tissue + wall * bones * patient.uniform(0.7, 1.3) + _devices(patient, points, edge, chest)
    attenuation += 0.8 * lungs * texture(patient, points, 1.1) + 0.9 * wall * texture(patient, points, 2.6)

    half = chest["thickness"] * patient.uniform(0.4, 0.52) * exposure
    shown = attenuation / (attenuation + half)
    shown = np.clip((shown - 0.1) / 0.72, 0, 1)
    return 4095 * shown / (shown + patient.uniform(1.1, 1.8) * (1 - shown))


def _chest(patient: np.random.Generator, breath: float) -> dict:
    """The sizes that several structures share; y counts down and x to the patient's left, from the centre."""
    apex, dome = patient.uniform(-16.0, -11.5), patient.uniform(3.0, 11.0)
    return {
        "half_width": patient.uniform(10.5, 15.5),  # middle to the outer margin of a lung
        "height": apex,  # y of the lungs' tops
        "apex": [apex + patient.uniform(-0.6, 0.6), apex + patient.uniform(-0.6, 0.6)],  # y: right, left
        "base": dome + breath,  # y of the diaphragm
        "dome": [dome + breath, dome + breath + patient.uniform(-0.8, 2.5)],  # y: right, left
        "middle": patient.normal(0, 0.8),  # x
        "thickness": patient.uniform(17, 27),  # front to back
        "curve": patient.normal(0, 0.9),  # scoliosis: deviation of the spine in the middle of its course
        "breath": breath,
    }


def _body(patient, points, edge, chest):
    """(cm of soft tissue along the beam, share inside the body)."""
    y, x = points
    across = np.abs(x - chest["middle"])
    flank = chest["half_width"] + patient.uniform(1.5, 6.0)
    waist = patient.uniform(-0.12, 0.12) * y
    armpit = patient.uniform(-9, -4)
    side = flank + waist + 12 * soft(armpit - y, 5.0) - across
    shoulder = chest["height"] - patient.uniform(2, 4.5)
    shoulder = shoulder + patient.uniform(0.15, 0.5) * np.maximum(across - 5, 0)
    neck = np.maximum(patient.uniform(4.5, 6.5) - across, y - shoulder)
    inside = soft(np.minimum(side, neck), edge)
    rounding = np.clip(1 - (across / (flank + 5)) ** 2, 0.05, 1)
    upper = 0.75 + 0.25 * soft(y + 9, 5)
    tissue = chest["thickness"] * inside * np.sqrt(rounding) * upper

    if patient.random() < 0.5:
        width, drop = patient.uniform(4, 6.5), patient.uniform(1, 6)
        for sign in (-1, 1):
            centre = (drop + patient.normal(0, 0.6), chest["middle"] + sign * patient.uniform(6.5, 9))
            tissue += patient.uniform(2, 5) * soft(ellipsoid(points, centre, (width * 0.9, width)), 1.5)
    return tissue, inside


def _lungs(patient, points, edge, chest):
    """(share of the beam's path that is air, share inside the lungs' outline)."""
    y, x = points
    air, outline = np.zeros_like(x), np.zeros_like(x)
    lean, flatness = patient.uniform(0.02, 0.16), patient.uniform(1.0, 4.5)
    middle_width = patient.uniform(1.6, 3.0)
    for index, sign in enumerate((-1, 1)):
        outer = chest["half_width"] + patient.normal(0, 0.5)
        radius = (outer - middle_width) / 2 * 1.12
        widest = patient.uniform(1.5, 5.5)
        across = sign * (x - chest["middle"]) - (outer - radius) + lean * (widest - y)
        depth = ellipsoid((y, across), (widest, 0), (widest - chest["apex"][index], radius))
        diaphragm = chest["dome"][index] + flatness * ((across + patient.uniform(-0.5, 2)) / radius) ** 2
        effusion = patient.random() < 0.15  # fluid fills the angle and climbs the wall
        level, climb = patient.uniform(1, 5), patient.uniform(1, 5)
        if effusion:
            meniscus = chest["dome"][index] - level - climb * np.clip(across / radius, 0, 1) ** 2 + flatness
            diaphragm = np.minimum(diaphragm, meniscus)
        lung = soft(np.minimum(depth, diaphragm - y), edge)
        outline = np.maximum(outline, lung)
        fullness = 0.55 + 0.45 * np.sqrt(np.clip(depth / radius, 0, 1))
        air = np.maximum(air, lung * fullness * patient.uniform(0.9, 1.05))
    return air, outline


def _mediastinum(patient, points, edge, chest):
    """Share of the air that the heart, the great vessels and the spine's soft tissue take away."""
    y, x = points
    middle, dome = chest["middle"], chest["base"]
    centre = (dome - patient.uniform(2.5, 4.5) - 0.5 * chest["breath"], middle + patient.uniform(0.8, 3.2))
    long, short = patient.uniform(4.6, 8.0), patient.uniform(3.6, 5.4)
    depth = ellipsoid(points, centre, (short, long), rotation_2d(patient.uniform(10, 55)))
    # Right atrium, then pulmonary trunk, aortic knob, and the upper mediastinum with the superior vena cava.
    atrium = (centre[0] + patient.uniform(-2, 1), middle - patient.uniform(0.8, 2.4))
    depth = np.maximum(depth, ellipsoid(points, atrium, (patient.uniform(3, 4.5), patient.uniform(2, 3.4))))
    knob_y = chest["height"] + patient.uniform(6.0, 8.5)
    trunk = (knob_y + patient.uniform(2.5, 4.5), middle + patient.uniform(1.5, 2.8))
    depth = np.maximum(depth, ellipsoid(points, trunk, (2.2, patient.uniform(1.2, 2.4))))
    knob = (knob_y, middle + patient.uniform(1.2, 2.6))
    depth = np.maximum(depth, ellipsoid(points, knob, (1.6, patient.uniform(1.2, 2.4))))
    width = patient.uniform(2.0, 3.6) + 0.05 * np.abs(y - knob_y)
    depth = np.maximum(depth, width - np.abs(x - middle - patient.uniform(-0.6, 0.6)))
    return soft(depth, math.hypot(edge, 0.3)) * patient.uniform(0.82, 0.97)


def _disease(patient, points, edge, chest):
    """Share of the air that opacities take away: nodules, consolidations, collapsed bands, haze."""
    lost = np.zeros_like(points[0])
    rough = 1 + 0.3 * texture(patient, points, 1.0)
    for _ in range(patient.integers(1, 5)):
        centre = (patient.uniform(-11, 6), chest["middle"] + patient.choice([-1, 1]) * patient.uniform(4, 11))
        kind, turn = patient.random(), rotation_2d(patient.uniform(-60, 60))
        if kind < 0.4:
            radius = patient.uniform(0.7, 2.2)
            depth = ellipsoid(points, centre, (radius, radius * 1.1))
            lost += patient.uniform(0.35, 0.75) * soft(depth, edge)
        elif kind < 0.85:
            radii = patient.uniform(2, 5, 2)
            depth = ellipsoid(points, centre, radii, turn)
            lost += patient.uniform(0.3, 0.7) * rough * soft(depth, 0.7 * float(radii.min()))
        else:
            radii = (patient.uniform(0.4, 0.8), patient.uniform(2.5, 4.5))
            lost += patient.uniform(0.4, 0.7) * soft(ellipsoid(points, centre, radii, turn), edge)
    for sign in (-1, 1):
        haze = patient.uniform(-0.08, 0.16)
        lost += haze * soft(sign * (points[1] - chest["middle"]), 1)
    return lost + patient.uniform(-0.12, 0.18) * soft(points[0] - patient.uniform(-6, 2), 7)


def _vessels(patient, points, edge, chest):
    """Share of the air that the hila and the lungs' vessels take away."""
    lost = np.zeros_like(points[0])
    hilum_y = chest["height"] + patient.uniform(9.5, 12)
    crowding, calibre = patient.integers(3, 6), patient.uniform(0.2, 0.4)
    for sign in (-1, 1):
        hilum = np.array([hilum_y + 0.5 * sign, chest["middle"] + sign * patient.uniform(3.2, 4.5)])
        lost += patient.uniform(0.1, 0.45) * soft(ellipsoid(points, hilum, patient.uniform(1.3, 2.4, 2)), 1.0)
        for angle in np.linspace(-70, 75, crowding) + patient.normal(0, 12, crowding):
            fork = hilum + patient.uniform(2.5, 5) * _direction(angle, sign)
            distance, along = segment(points, hilum, fork)
            tree = 0.35 * line(distance, calibre * (1.4 - 0.6 * along), edge)
            for turn in patient.uniform(12, 45, 2) * (-1, 1):
                end = fork + patient.uniform(2.5, 5) * _direction(angle + turn, sign)
                distance, along = segment(points, fork, end)
                twig = line(distance, calibre * (1 - 0.7 * along), edge)
                tree = np.maximum(tree, 0.3 * (1 - 0.8 * along) * twig)
            lost += tree
    return lost


def _direction(degrees, sign):
    """(y, x) of length 1 that points outwards in the lung on that side, `degrees` below the horizontal."""
    return np.array([np.sin(np.deg2rad(degrees)), sign * np.cos(np.deg2rad(degrees))])


def _gas(patient, points, edge, chest):
    """Share of the path that is gas: windpipe, main bronchi and the stomach's bubble."""
    apex = chest["height"]
    middle = chest["middle"] + patient.normal(0, 0.4)
    fork = (apex + patient.uniform(6.5, 9), middle)
    radius = patient.uniform(0.7, 1.1)
    gas = 0.28 * line(segment(points, (-25, middle), fork)[0], radius, edge)
    for sign in (-1, 1):
        end = (fork[0] + patient.uniform(2, 3.2), middle + sign * patient.uniform(3, 4))
        gas = np.maximum(gas, 0.2 * line(segment(points, fork, end)[0], 0.6 * radius, edge))
    if patient.random() < 0.6:
        centre = (chest["dome"][1] + patient.uniform(2.0, 3.0), chest["middle"] + patient.uniform(4, 8))
        radii = (patient.uniform(0.7, 1.4), patient.uniform(1.5, 3.5))
        gas = np.maximum(gas, patient.uniform(0.3, 0.6) * soft(ellipsoid(points, centre, radii), edge))
    return gas


def _ribs(patient, points, edge, chest):
    """cm of soft tissue that the ribs are worth. All ribs of one layer are one periodic stroke."""
    y, x = points
    across = np.abs(x - chest["middle"]) / chest["half_width"]
    top = chest["height"] - patient.uniform(0, 1.5)
    spacing, radius = patient.uniform(2.2, 3.1), patient.uniform(0.45, 0.7)
    width = np.sqrt(np.clip(1 - ((y - 4) / (5 - top)) ** 2, 0, 1))
    cage = soft(0.6 + chest["half_width"] * (width - across), edge) * soft(max(chest["dome"]) + 5 - y, 2)
    ribs = np.zeros_like(x)
    # Behind, a rib leaves the spine almost level and drops at the side; in front, it climbs outwards.
    droop, steep = patient.uniform(2.0, 5.5), patient.uniform(4, 9)
    tilt = patient.normal(0, 0.3) * (x - chest["middle"]) / chest["half_width"]
    for course, strength in ((droop * across**2 - 1.2 * across, 2.6), (-steep * across, 1.3)):
        step = (y - top - course - tilt) / spacing + patient.uniform(0, 1)
        step = step - 0.012 * step * step  # ribs lie closer at the top
        distance = np.abs(step - np.round(step)) * spacing
        visible = soft(across - 0.12, 0.1) if strength > 2 else soft(across - 0.4, 0.15)
        ribs += strength * visible * line(distance, radius, edge)
    return ribs * cage


def _spine_and_shoulders(patient, points, edge, chest):
    """cm of soft tissue that the spine, collar bones, shoulder blades and upper arms are worth."""
    y, x = points
    bend = chest["curve"] * (1 - (y / 16) ** 2)
    height = patient.uniform(2.1, 2.8)
    step = y / height + patient.uniform(0, 1)
    disc = line(np.abs(step - np.round(step)) * height, 0.3, edge)
    spine = soft(patient.uniform(1.4, 2.0) - np.abs(x - chest["middle"] - bend), edge)
    bones = spine * (5 - 2.5 * disc)
    inner = chest["height"] + patient.uniform(1.0, 3.0)
    rise, reach = patient.uniform(-0.5, 3.5), chest["half_width"] + patient.uniform(0, 1.5)
    for sign in (-1, 1):
        middle, tip = chest["middle"] + sign * 1.8, chest["middle"] + sign * reach
        bow = (inner - rise / 2 + patient.uniform(-0.2, 0.8), (middle + tip) / 2)
        end = (inner - rise + patient.normal(0, 0.4), tip)
        first, second = segment(points, (inner, middle), bow)[0], segment(points, bow, end)[0]
        bones = np.maximum(bones, 3.6 * line(np.minimum(first, second), 0.6, edge))
        socket = (end[0] + patient.uniform(1.5, 3), tip + sign * patient.uniform(2, 3.5))
        arm = segment(points, socket, (socket[0] + 12, socket[1] + sign * patient.uniform(0.5, 4)))[0]
        humerus = np.maximum(soft(ellipsoid(points, socket, (2.3, 2.3)), edge), line(arm, 1.2, edge))
        bones = np.maximum(bones, 4.5 * humerus)
        angle = (socket[0] + patient.uniform(10, 13), tip - sign * patient.uniform(-1, 2))
        blade = segment(points, (socket[0] + 1, socket[1] - sign * 2.5), angle)[0]
        bones += patient.uniform(0.8, 1.8) * line(blade, 1.1, math.hypot(edge, 0.4))
    return bones


def _devices(patient, points, edge, chest):
    """cm of soft tissue that metal and plastic are worth: pacemaker, central line, sternal wires, tube."""
    metal = np.zeros_like(points[0])
    apex, dome, middle = chest["height"], chest["base"], chest["middle"]

    def wire(corners, radius, strength):
        distances = [segment(points, start, end)[0] for start, end in pairwise(corners)]
        np.maximum(metal, strength * line(np.min(distances, axis=0), radius, edge), out=metal)

    if patient.random() < 0.12:
        sign = patient.choice([-1, 1], p=[0.15, 0.85])
        can = np.array([apex + patient.uniform(2.5, 5.5), middle + sign * patient.uniform(7.5, 10)])
        shape = ellipsoid(points, can, (patient.uniform(1.9, 2.6), patient.uniform(2, 2.8)))
        np.maximum(metal, 40 * soft(shape, edge), out=metal)
        tip = (dome - patient.uniform(0.5, 2.5), middle + patient.uniform(3, 5.5))
        vein, cava = (apex - 1, middle + sign * 2), (apex + 5, middle - 4)
        wire(_bend([can, vein, cava, (dome + 1, middle - 3.5), tip]), 0.12, 30)
    if patient.random() < 0.15:
        start = (apex - 3, middle + patient.choice([-1, 1]) * patient.uniform(4, 9))
        vein, tip = (apex + patient.uniform(0, 3), middle - 2), (patient.uniform(-4, 0), middle - 2.2)
        wire(_bend([start, vein, tip]), 0.1, 16)
    if patient.random() < 0.12:
        for y in np.linspace(apex + 6, dome - 2, 5).tolist():
            wire([(y, middle - 0.6), (y + patient.normal(0, 0.2), middle + 0.6)], 0.15, 35)
    if patient.random() < 0.12:
        wire([(-25, middle), (apex + patient.uniform(3, 6), middle)], 0.25, 10)
    return metal


def _bend(controls):
    """9 points of the Bezier curve with these control points."""
    points = np.repeat(np.array(controls)[:, None], 9, axis=1)
    shares = np.linspace(0, 1, 9)[:, None]
    while len(points) > 1:
        points = points[:-1] * (1 - shares) + points[1:] * shares
    return points[0]
