"""Whether a folder's files are those of an audit's report, by its digests: the synthetic ones, or those to release."""

import hashlib
import os
import re
from pathlib import Path

from copylens.auditing.sums import SUMS, checksums_below
from copylens.jobs.checksums import digest, sums
from copylens.jobs.job import one_line

# A row of the table in report.html, or a key of verdict.json.
DIGEST = re.compile(r'(training|held[ _]out|synthetic)[ _]files(?:": "|</t[dh]>\s*<td[^>]*>)([0-9a-f]{64})')
# In the sentence about what may be released (`copylens.reporting.audit_report.paragraphs`).
RELEASED = re.compile(r"SHA-256 of its file SHA256SUMS is ([0-9a-f]{64})")


def verify(folder: Path, report: Path) -> tuple[bool, str]:
    """(whether they are, in words) of the files below `folder`, all of them, and a report: report.html or verdict.json.

    Raises ValueError where either can't be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    try:
        text = report.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{report}: has no text; name report.html or verdict.json, which lie beside it") from None
    except OSError as error:
        raise ValueError(f"{report}: {error.strerror}") from None
    if (folder / SUMS).is_file():
        return _verify_released(folder, report, text)
    known = {checksum: part.replace("_", "-").replace(" ", "-") for part, checksum in DIGEST.findall(text)}
    if not known:
        raise ValueError(f"{report}: has no digest of files; name the report of an audit")
    paths = checksums_below(folder)
    part = known.get(digest(paths))
    if part == "synthetic":
        return True, f"{folder}: these {len(paths)} files are the synthetic ones that were audited"
    if part:
        return False, f"{folder}: these {len(paths)} files are the {part} ones of that audit, not the synthetic ones"
    return False, (
        f"{folder}: these {len(paths)} files aren't those that {report.name} is about; every file below it counts, "
        "also one that is no image"
    )


def _verify_released(folder: Path, report: Path, text: str) -> tuple[bool, str]:
    """The same of a folder to release, by the digest of its SHA256SUMS."""
    known = RELEASED.search(text)
    if known is None:
        raise ValueError(f"{report}: has no digest of {SUMS}; name report.html of an audit that lets samples go")
    listed = (folder / SUMS).read_bytes()
    if hashlib.sha256(listed).hexdigest() != known[1]:
        return False, f"{folder}: its {SUMS} isn't the one that {report.name} is about"
    checksums = checksums_below(folder)
    then, now = listed.split(b"\n")[:-1], os.fsencode(sums(checksums)).split(b"\n")[:-1]
    other = sorted({line.split(b"  ", 1)[1] for line in {*then} ^ {*now}})
    if other:
        name = one_line(os.fsdecode(other[0]))
        return False, f"{folder}: {len(other)} files aren't those that {report.name} is about, such as {name}"
    return True, f"{folder}: these {len(checksums)} files are those that {report.name} is about"
