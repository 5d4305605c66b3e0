"""Numbers and names in sentences."""

import numpy as np


def percent(share: float | None) -> str:
    """A share of 1 in per cent."""
    if share is None or not np.isfinite(share):
        return "an unknown share"
    return f"{100 * share:.1f} %"


def listed(names: list[str]) -> str:
    """Names in a sentence: a, b and c."""
    *first, last = (name.replace("_", " ") for name in names)
    return f"{', '.join(first)} and {last}" if first else last
