"""SHA256SUMS of a folder to release, as `sha256sum` writes it."""

import os
from pathlib import Path

from copylens.jobs.checksums import file_checksum, sums

FILES, SUMS = "files", "SHA256SUMS"  # the folder to release, below restricted/rest, and the list in it


def write_sums(folder: Path) -> None:
    """List the files below `folder` in its SHA256SUMS."""
    (folder / SUMS).write_bytes(os.fsencode(sums(checksums_below(folder))))


def checksums_below(folder: Path) -> dict[str, list]:
    """The SHA-256 of every file below `folder` but its own SHA256SUMS, by path."""
    paths = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return {
        path.relative_to(folder).as_posix(): [file_checksum(path)]
        for path in paths
        if not (path.name == SUMS and path.parent == folder)
    }
