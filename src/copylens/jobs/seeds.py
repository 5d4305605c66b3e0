"""Seeds: one for each purpose, made of a configuration's."""

import hashlib


def derive_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A 63-bit seed for one purpose, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
