"""Seeds: one for each purpose, derived from the configuration's. Every random draw of the library uses one."""

import hashlib

# For numpy's generators. Numbers never change, and a new purpose gets a new one, so that results repeat.
NUMBERS = {
    "approximate search, checked": 0,
    "approximate search, centres": 1,
    "split": 1,
    "training rows": 2,
    "thresholds": 3,
    "calibration images": 4,
    "planted sources": 5,
    "kernel distance": 5,
    "planted controls": 6,
    "halves of real images": 6,
    "benchmark intervals": 7,
    "review": 8,
    "held-out split": 9,
    "membership intervals": 10,
    "membership components": 11,
    "membership choice": 12,
    "halvings": 13,
    "halves of held-out patients": 14,
    "usefulness": 15,
    "classes": 16,
    "levels of intervals": 0,
}


def derive_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A 63-bit seed of torch's generators for one purpose, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_of(purpose: str, seed: int | None = None):
    """A numpy generator for one purpose; without a seed it doesn't depend on the configuration."""
    import numpy as np

    number = NUMBERS[purpose]
    return np.random.default_rng(number if seed is None else [seed, number])
