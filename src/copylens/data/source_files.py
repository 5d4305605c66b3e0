"""Records of the user's files that a data set was listed from, to notice changes.

A record has their folder, the globs that find them, and of each its size, times and SHA-256. File names are the
hospital's own words, so records lie in restricted folders; public results have only a record's `digest`.

Imports neither numpy nor pandas: the workflow compares records each time that it starts.
"""

import contextlib
import glob
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from copylens.config.spec import data_root
from copylens.jobs.checksums import checked, digest, file_checksum, note_of, whole

UNREADABLE = "unreadable"  # in the place of a checksum


def record_of(table_path: Path | str) -> Path:
    """Path of a data set's record, given its scans.tsv."""
    return Path(table_path).parent / "restricted" / "files.json"


def take(settings: dict, patterns: list[str], paths: Iterable[str], state: str) -> dict:
    """The record of a data set's files: those that match the globs `patterns` below its root, and `paths`."""
    record = {"data": str(data_root().absolute()), "root": settings.get("root", ""), "patterns": patterns}
    files = look(record | {"files": {path: [] for path in paths}})
    # Without files the record doesn't depend on the machine.
    return record | {"state": state, "files": files} | ({} if files else {"data": ""})


def write(record: dict, path: Path | str) -> None:
    """A record, or several by name, as JSON in a folder that only its owner can open."""
    with whole(path) as temporary:
        os.chmod(temporary.parent, 0o700)
        temporary.write_text(json.dumps(record), encoding="utf-8")


def read(path: Path | str) -> dict:
    """A record, or several by name, written by `write`."""
    return json.loads(checked(path).read_text(encoding="utf-8"))


def root_of(record: dict) -> Path:
    """The folder of a record's files: below COPYLENS_DATA if it is set, else the recorded one."""
    return Path(os.environ.get("COPYLENS_DATA", record["data"]), record["root"])


def look(record: dict) -> dict[str, list]:
    """The present state of the record's files and of new ones, sorted by path: size, two times, SHA-256.

    Bytes are read only if size or times differ from the record: a new date alone is no change.
    """
    root, known = root_of(record), record["files"]
    matches = {path for pattern in record["patterns"] for path in glob.glob(pattern, root_dir=root, recursive=True)}
    files: dict[str, list] = {}
    for path in sorted(known.keys() | {Path(match).as_posix() for match in matches}):
        try:
            now = os.stat(os.path.join(root, path))
        except OSError:
            continue
        if not stat.S_ISREG(now.st_mode):
            continue
        # A file's owner can set the second time back, but not the third.
        files[path] = [now.st_size, now.st_mtime_ns, now.st_ctime_ns]
        same = known.get(path, [])[:-1] == files[path]
        files[path].append(known[path][-1] if same else _checksum(root / path))
    return files


def differing(one: dict[str, list], other: dict[str, list]) -> list[str]:
    """The files whose bytes differ, or that only one of both holds."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path, [0])[-1] != other.get(path, [1])[-1])


def state(settings: dict, table_path: Path | str) -> str:
    """A fingerprint of a data set's files that changes when their bytes do, a parameter of the job that lists them.

    While the files are unchanged it stays that of the last listing; the first listing's is empty.
    """
    path = record_of(table_path)
    if not path.exists():
        return "unrecorded" if note_of(table_path).exists() else ""
    record = read(path) | {"data": str(data_root().absolute()), "root": settings.get("root", "")}
    root = root_of(record)
    if record["files"] and not root.is_dir():
        # Listing again would fail, and delete the results of these files.
        print(f"{table_path}: its files can't be checked, there's no folder {root}; set COPYLENS_DATA", file=sys.stderr)
        return record["state"]
    files = look(record)
    if differing(record["files"], files):
        return digest(files)
    if files != record["files"]:
        with contextlib.suppress(OSError):  # the folder is another user's
            write(record | {"files": files}, path)  # next time the bytes needn't be read
    return record["state"]


def freeze(records: dict[str, Path], path: Path | str) -> dict[str, str]:
    """Write the records of an audit's data sets, by role, as one file; returns `<part>_files`, the digest of each.

    Raises ValueError if a record is missing.
    """
    for record in records.values():
        if not record.exists():
            raise ValueError(f"{record}: isn't there, so the listed files are unknown; run again")
    parts = {part: read(record) for part, record in records.items()}
    write(parts, path)
    return {f"{part}_files": digest(record["files"]) for part, record in parts.items()}


def changes(parts: dict[str, dict]) -> list[str]:
    """Sentences about the files of an audit's data sets that changed since the audit; none if all are the same."""
    sentences = []
    for part, record in parts.items():
        then, name = record["files"], part.replace("_", "-")
        if then and not root_of(record).is_dir():
            sentences.append(f"the {name} files' folder isn't there; set COPYLENS_DATA to the folder that holds it")
            continue
        now = look(record)
        others = differing(then, now)
        for one, several, paths in (
            ("isn't what was audited", "aren't those that were audited", [path for path in others if path in now]),
            ("is gone", "are gone", [path for path in others if path not in now]),
        ):
            if paths:
                sentences.append(
                    f"{len(paths)} of {len(then | now)} {name} files {one if len(paths) == 1 else several}, "
                    f"such as {paths[0]}"
                )
    return sentences


def _checksum(path: Path) -> str:
    try:
        return file_checksum(path)
    except OSError:
        return UNREADABLE
