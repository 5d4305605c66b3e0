"""Similarities to training images, in bands so wide that no single one can be read off.

Anyone with a patient's image and the samples can compute similarities too, and published single ones would reveal
whether the patient was trained on. So the public edition has only shares by band, with bounds from calibration images.
"""

import numpy as np

GROUPS = ("synthetic", "calibration", "control", "planted")
QUANTILES = (50, 80)  # percentiles of the calibration images; the last bound is the threshold
BOUNDS = ("median", "80th", "threshold")  # percentiles of the calibration images
FEWEST = 5  # images of a band that is shown


def shares_by_band(groups: dict[str, np.ndarray], tau: float) -> dict[str, list[float | None]]:
    """Of each group's similarities [n]: the shares below the calibration images' median, from there to their 80th
    percentile, from there to the threshold `tau`, and above it, in whole per cents.

    None for fewer than `FEWEST` images, also for none.
    """
    bounds = [*np.percentile(groups["calibration"], QUANTILES), tau]
    shares = {}
    for name in GROUPS:
        # A similarity that equals a bound isn't above it.
        band = np.searchsorted(bounds, groups[name], side="left")
        counts = np.bincount(band, minlength=len(bounds) + 1)
        shares[name] = [round(float(n) / len(band), 2) if n >= FEWEST else None for n in counts]
    return shares


def band_words(share: float | None) -> str:
    """A band's share as text."""
    if share is None:
        return f"<{FEWEST} images"
    return f"{100 * share:.0f} %" if share else "<1 %"


def sentence(shares: dict[str, list[float | None]]) -> str:
    """The share of each group above the threshold, in a sentence."""
    parts = [
        f"{f'fewer than {FEWEST} images' if share is None else band_words(share)} of {name}"
        for name, (*_, share) in shares.items()
    ]
    return f"Above the threshold: {', '.join(parts) or 'nothing'}."
