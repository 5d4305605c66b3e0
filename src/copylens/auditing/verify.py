"""Whether a folder's files are the synthetic ones that an audit was about, by the digests in its report."""

import os
import re
from pathlib import Path

from copylens.data.source_files import digest
from copylens.jobs.checksums import file_checksum

# A row of the table in report.html, or a key of verdict.json.
DIGEST = re.compile(r'(training|held[ _]out|synthetic)[ _]files(?:": "|</t[dh]>\s*<td[^>]*>)([0-9a-f]{64})')


def verify(folder: Path, report: Path) -> tuple[bool, str]:
    """(whether they are, in words) of the files below `folder`, all of them, and a report: report.html or verdict.json.

    Raises ValueError where either can't be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    try:
        text = report.read_text()
    except UnicodeDecodeError:
        raise ValueError(f"{report}: has no text; name report.html or verdict.json, which lie beside it") from None
    except OSError as error:
        raise ValueError(f"{report}: {error.strerror}") from None
    known = {checksum: part.replace("_", "-").replace(" ", "-") for part, checksum in DIGEST.findall(text)}
    if not known:
        raise ValueError(f"{report}: has no digest of files; name the report of an audit")
    paths = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    checksums = {path.relative_to(folder).as_posix(): [file_checksum(path)] for path in paths}
    part = known.get(digest(checksums))
    if part == "synthetic":
        return True, f"{folder}: these {len(paths)} files are the synthetic ones that were audited"
    if part:
        return False, f"{folder}: these {len(paths)} files are the {part} ones of that audit, not the synthetic ones"
    return False, (
        f"{folder}: these {len(paths)} files aren't those that {report.name} is about; every file below it counts, "
        "also one that is no image"
    )
