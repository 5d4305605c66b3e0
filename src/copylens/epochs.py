"""States of a training by the names that their paths have: `last`, or `epoch00050` for a snapshot."""

from pathlib import Path

from copylens.files import read_table


def snapshot_of(name: str) -> int | None:
    """The epoch of a snapshot; None for the last state."""
    return None if name == "last" else int(name.removeprefix("epoch"))


def number_of(name: str, losses: Path) -> int:
    """How many passes over T a state has seen; the last state's are in `losses` (0 where nothing is trained)."""
    if name != "last":
        return snapshot_of(name)
    seen = read_table(losses)["epoch"]
    return int(seen.max()) if len(seen) else 0
