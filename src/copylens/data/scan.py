"""One image of one patient: where it lies, and what it is once it is read."""

from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "calibration", "control", "unused")
UNKNOWN = "unknown_"  # begins the pseudonym of a scan that nobody says the patient of


@dataclass(frozen=True)
class Scan:
    """One image of one patient. `source` and `patient` are the hospital's own words: never written to a result."""

    source: str  # what the reader opens: a path below the root, or a phantom's name
    patient: str | None  # the patient's id as the source gives it; None where nothing says whose image it is
    part: int | None = None  # which slice of a volume, or which image of an array, where a source holds several
    split: str | None = None  # one of SPLITS, where a table says it
    about: tuple[str, ...] = ()  # what settings['about'] asks for, in its order


@dataclass(frozen=True)
class Image:
    """An image as its source holds it."""

    pixels: np.ndarray  # float32, [H, W] or [D, H, W]
    spacing: tuple[float, ...]  # size of a pixel along each axis: mm, or ones where the source doesn't say
    colourful: bool = False  # whether the source shows colours, which became grey values
