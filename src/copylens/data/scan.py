"""One image of one patient: its source, and its pixels once read."""

from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "calibration", "control", "unused")
UNKNOWN = "unknown_"  # prefix of the pseudonym of a scan whose patient is unknown


@dataclass(frozen=True)
class Scan:
    """One image of one patient. `source` and `patient` are the hospital's own words, never written to a result."""

    source: str  # opened by the reader: a path below the root, or a phantom's name
    patient: str | None  # the patient's id as the source gives it; None if it is unknown
    part: int | None = None  # which slice of a volume, or which image of an array, where a source holds several
    split: str | None = None  # one of SPLITS, if a table gives it
    about: tuple[str, ...] = ()  # values of settings['about'], in its order


@dataclass(frozen=True)
class Image:
    """An image as stored in its source."""

    pixels: np.ndarray  # float32, [H, W] or [D, H, W]
    spacing: tuple[float, ...]  # size of a pixel along each axis: mm, or ones if the source doesn't give it
    colourful: bool = False  # whether the source shows colours, which became grey values
