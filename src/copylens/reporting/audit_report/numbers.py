"""Numbers, shares and names as the reports show them."""

import math
from typing import TypeGuard

UNKNOWN = "not known"
PERCENT = "\N{NO-BREAK SPACE}%"


def plain(value):
    """The same value, with unprintable characters (line breaks, controls) of all its texts written as escapes."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def share(value: float | None, sign: str = PERCENT) -> str:
    """A share of 1 in per cent, never rounded to 0 or to 100 unless it is."""
    if not known(value):
        return UNKNOWN
    percent = round(100 * value, 1)
    if percent == 0 and value > 0:
        return f"<0.1{sign}"
    if percent == 100 and value < 1:
        return f">99.9{sign}"
    return f"{percent:.1f}".removesuffix(".0") + sign


def number(value: float | None) -> str:
    """Whole numbers as they are, others with four digits."""
    if not known(value):
        return UNKNOWN
    value = value or 0.0  # never a negative zero
    return (f"{value:,.0f}" if value == round(value) else f"{value:.4g}").replace("-", "−")


def count(value: float | None) -> str:
    return f"{value:,.0f}" if known(value) else UNKNOWN


def hundredths(value: float | None) -> str:
    return f"{value:.2f}" if known(value) else UNKNOWN


def measured(value: float | None, low: float | None, high: float | None, unit: str = "share") -> str:
    """A value and, where there is one, its interval."""
    show = {"share": share, "count": count, "": hundredths}[unit]
    if not (known(value) and known(low) and known(high)):
        return show(value)
    return f"{show(value)} ({share(low, '') if unit == 'share' else show(low)} to {show(high)})"


def interval_of(row: dict, name: str, unit: str = "share") -> str:
    return measured(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"), unit)


def name_of(word: str) -> str:
    return word.replace("_", " ")
