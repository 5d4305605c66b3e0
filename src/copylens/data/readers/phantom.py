"""Drawn patients, for trying everything without a download. The anatomies are the files of copylens/data/phantoms.

A patient's number determines the anatomy, an image's number determines pose and noise: both are independent of
`n_patients`. No file is opened.
"""

import hashlib
import math
import re
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from copylens.config.kinds import implementation
from copylens.data.scan import Image, Scan

SETTINGS = """
required: [anatomy, n_patients]
properties:
  anatomy: {enum: [xray, ct, mr]}
  n_patients: {$ref: "#/$defs/count"}
  size: {type: integer, minimum: 8, default: 64}
  repeat_share: {$ref: "#/$defs/share", default: 0.2}
  noise: {$ref: "#/$defs/share", default: 0.02}
  seed: {type: integer, minimum: 0, default: 0}
"""


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One to three scans per patient, such as ``xray_0012_2``, by patient and image; `root` is ignored."""
    anatomy, patients = settings["anatomy"], range(settings["n_patients"])
    return [
        Scan(f"{anatomy}_{patient:04d}_{image}", f"{anatomy}_{patient:04d}")
        for patient in patients
        for image in range(1, 1 + _n_images(patient, settings["repeat_share"]))
    ]


def patterns(settings: dict) -> list[str]:
    """No file is read."""
    return []


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W], or [D, H, W] feet to head, front to back, left to right; sides of settings['size'].

    Whole grey levels as a scanner stores them: 0 to 4095 (xray, mr), or HU (ct). The noise is normal, its
    standard deviation settings['noise'] times the image's range. Raises ValueError for a name that isn't one
    of the data set's.
    """
    match = re.fullmatch(rf"{settings['anatomy']}_(\d{{4,}})_([1-9]\d*)", scan.source)
    if match is None:
        raise ValueError(f"{scan.source}: no scan of this phantom; names are like {settings['anatomy']}_0012_1")
    drawing = _drawing(*map(int, match.groups()), *(settings[key] for key in ("anatomy", "seed", "size", "noise")))
    return Image(drawing.copy(), (1.0,) * drawing.ndim)


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the drawing's bytes (float32, little endian), so it changes with drawing and settings."""
    return hashlib.sha256(load(root, scan, settings).pixels.astype("<f4").tobytes()).hexdigest()


@lru_cache(maxsize=1)
def _drawing(patient: int, image: int, anatomy: str, seed: int, size: int, noise: float) -> np.ndarray:
    """Pixels of one image. The last one is kept: a checksum and a load of the same image draw once."""
    module = implementation("phantoms", anatomy)
    of_scan = _generator(anatomy, seed, patient, image)
    drawing = module.draw(_generator(anatomy, seed, patient, 0), of_scan, size)
    drawing = drawing + noise * float(np.ptp(drawing)) * of_scan.standard_normal(drawing.shape, dtype=np.float32)
    return np.rint(np.clip(drawing, *module.STORED))


def _n_images(patient: int, repeat_share: float) -> int:
    """1, or 2 for every (1 / repeat_share)-th patient, or 3 for every third of those.

    Counted, not drawn, so that a small data set has its repeats too: of the first n patients, n *
    repeat_share (rounded down) have them.
    """
    n_repeated = math.floor((patient + 1) * repeat_share)
    if n_repeated == math.floor(patient * repeat_share):
        return 1
    return 3 if n_repeated % 3 == 0 else 2


def _generator(anatomy: str, seed: int, patient: int, purpose: int) -> np.random.Generator:
    """Randomness of a patient's anatomy (purpose 0), or of an image's pose and noise (its number)."""
    spawn_key = (zlib.crc32(anatomy.encode()), patient, purpose)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=spawn_key))
