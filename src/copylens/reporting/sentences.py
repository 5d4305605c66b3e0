"""Numbers and names in sentences."""

import numpy as np


def percent(share: float | None, beside: float | None = None) -> str:
    """A share of 1 in per cent, with as many digits (up to 4) as show that it isn't the share `beside` it."""
    if share is None or not np.isfinite(share):
        return "an unknown share"
    digits = 1
    while beside is not None and share != beside and digits < 4 and round(100 * (share - beside), digits) == 0:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def listed(names: list[str]) -> str:
    """Names in a sentence: a, b and c."""
    *first, last = (name.replace("_", " ") for name in names)
    return f"{', '.join(first)} and {last}" if first else last
