"""A checksum of each file as written, in a hidden file beside it, compared before the file is used.

Imports neither numpy nor pandas: the workflow computes checksums each time that it starts.
"""

import errno
import glob
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:6]  # its name isn't told
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of writing, which don't name the file
SETTLED = 10**8  # nanoseconds after which a file's time shows whether it was written again
LONGEST = 200  # bytes of a file's name that others are made of; a file system allows 255 in all
_known: dict[tuple, str] = {}  # checksums that this process has computed


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the body ends and is removed when the body fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = unfinished(path)
    try:
        yield temporary
        settle(temporary, path)
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        raise OSError(f"{path}: can't be written ({error.strerror}); make room") from error
    finally:
        temporary.unlink(missing_ok=True)


def settle(temporary: Path, path: Path) -> None:
    """Give the finished file `temporary` the name `path`, on the same disk, and note its checksum.

    A process that is killed here leaves a file without a note, which is read unchecked, and never one with another's.
    """
    checksum, noted = file_checksum(temporary), note_of(path)
    note = unfinished(noted)
    try:
        note.write_bytes(os.fsencode(f"{checksum}  {path.name}\n"))  # as sha256sum writes it
        noted.unlink(missing_ok=True)
        os.replace(temporary, path)
        os.replace(note, noted)
    finally:
        note.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where this process writes what is to become `path`; what a process of this machine left there is removed.

    A process that was killed removes nothing. Those of other machines may be at work.
    """
    start = f".{_short(path.name.removeprefix('.'))}.{HOST}-"
    for left in path.parent.glob(f"{glob.escape(start)}*"):
        number = left.name.removeprefix(start)
        if number.isdecimal() and not _lives(int(number)):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f"{start}{os.getpid()}")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def note_of(path: Path | str) -> Path:
    """Where the checksum of `path` is noted."""
    path = Path(path)
    return path.with_name(f".{_short(path.name)}.sha256")


def _short(name: str) -> str:
    """The name, or the digest of one so long that what is added here would make more than 255 bytes."""
    long = len(os.fsencode(name)) > LONGEST
    return hashlib.sha256(os.fsencode(name)).hexdigest() if long else name


def checked(path: Path | str) -> Path:
    """`path`, if its bytes have the noted checksum or none was noted; ValueError otherwise."""
    path = Path(path)
    try:
        noted = os.fsdecode(note_of(path).read_bytes()).split()
    except FileNotFoundError:
        return path
    if noted and file_checksum(path) != noted[0]:
        raise ValueError(f"{path}: isn't what was written there (its checksum differs); delete it and run again")
    return path


def file_checksum(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Computed once for an unchanged file."""
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())  # of this very file, whatever takes its name meanwhile
        version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        # Clocks of file systems tick every few milliseconds: two writes may have one time.
        settled = time.time_ns() - status.st_ctime_ns > SETTLED
        if not settled or version not in _known:
            _known[version] = hashlib.file_digest(file, "sha256").hexdigest()
        return _known[version]


def digest(files: dict[str, list]) -> str:
    """SHA-256 of the lines that `sha256sum` prints for these files, sorted by path."""
    return hashlib.sha256(os.fsencode(sums(files))).hexdigest()


def sums(files: dict[str, list]) -> str:
    """The lines that `sha256sum` prints for these files, sorted by path; it escapes line breaks and backslashes."""
    lines = []
    for path in sorted(files, key=os.fsencode):
        escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"{'' if escaped == path else chr(92)}{files[path][-1]}  {escaped}\n")
    return "".join(lines)
