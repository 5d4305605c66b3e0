"""The user's files that a data set was listed from: what they were then, and whether they still are.

A record has their folder, the globs that find them, and of each its size, times and SHA-256. File names are the
hospital's own words, so that records lie in restricted folders; what leaves has a record's `digest`.

Imports neither numpy nor pandas: the workflow asks each time that it begins.
"""

import contextlib
import glob
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from copylens.config.spec import data_root
from copylens.jobs.checksums import checked, file_checksum, note_of, whole

UNREADABLE = "unreadable"  # in the place of a checksum


def record_of(table_path: Path | str) -> Path:
    """Where the record of a data set lies, by its scans.tsv."""
    return Path(table_path).parent / "restricted" / "files.json"


def take(settings: dict, patterns: list[str], paths: Iterable[str], state: str) -> dict:
    """The record of a data set's files: those that match the globs `patterns` below its root, and `paths`."""
    record = {"data": str(data_root().absolute()), "root": settings.get("root", ""), "patterns": patterns}
    files = look(record | {"files": {path: [] for path in paths}})
    # Where no files are read, nothing says on which machine.
    return record | {"state": state, "files": files} | ({} if files else {"data": ""})


def write(record: dict, path: Path | str) -> None:
    """A record, or several by name, as JSON in a folder that only its owner can open."""
    with whole(path) as temporary:
        os.chmod(temporary.parent, 0o700)
        temporary.write_text(json.dumps(record))


def read(path: Path | str) -> dict:
    """What `write` wrote."""
    return json.loads(checked(path).read_text())


def root_of(record: dict) -> Path:
    """The folder of a record's files: below COPYLENS_DATA where it is set, and else where it was."""
    return Path(os.environ.get("COPYLENS_DATA", record["data"]), record["root"])


def look(record: dict) -> dict[str, list]:
    """The record's files as they are now, and those that came, sorted by path: size, two times, SHA-256.

    Bytes are read only where size or times aren't those of the record: a file of another date is the same file.
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
    """The files whose bytes differ, or that only one of both has."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path, [0])[-1] != other.get(path, [1])[-1])


def digest(files: dict[str, list]) -> str:
    """SHA-256 of what `sha256sum` prints of these files, sorted by path."""
    lines = [f"{files[path][-1]}  {path}\n" for path in sorted(files, key=os.fsencode)]
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def state(settings: dict, table_path: Path | str) -> str:
    """A word for a data set's files that changes when their bytes do, a parameter of the job that lists them.

    It's what the last listing was told, as long as its files are the same: the first one is told nothing.
    """
    path = record_of(table_path)
    if not path.exists():
        return "unrecorded" if note_of(table_path).exists() else ""
    record = read(path) | {"data": str(data_root().absolute()), "root": settings.get("root", "")}
    root = root_of(record)
    if record["files"] and not root.is_dir():
        # Listing again would fail, and take with it what was made of these files.
        print(f"{table_path}: its files aren't looked at, there's no folder {root}; set COPYLENS_DATA", file=sys.stderr)
        return record["state"]
    files = look(record)
    if differing(record["files"], files):
        return digest(files)
    if files != record["files"]:
        with contextlib.suppress(OSError):  # it's somebody else's
            write(record | {"files": files}, path)  # next time the bytes needn't be read
    return record["state"]


def freeze(records: dict[str, Path], path: Path | str) -> dict[str, str]:
    """Write the records of several data sets, by what they are to an audit, as one; `<part>_files`, the digest of each.

    Raises ValueError where there is none.
    """
    for record in records.values():
        if not record.exists():
            raise ValueError(f"{record}: isn't there, so that nothing says which files were listed; run again")
    parts = {part: read(record) for part, record in records.items()}
    write(parts, path)
    return {f"{part}_files": digest(record["files"]) for part, record in parts.items()}


def changes(parts: dict[str, dict]) -> list[str]:
    """Sentences that say which files of an audit's data sets aren't those that it saw; none where all are."""
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
