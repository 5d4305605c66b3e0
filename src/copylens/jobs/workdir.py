"""A folder in `work/`: the progress of one unfinished job, held by one process at a time."""

import errno
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from copylens.jobs.checksums import settle, whole
from copylens.jobs.files import read_yaml, reserve, write_yaml
from copylens.jobs.job import OutOfTime, rank

RESULTS, WORK = "results", "work"
POLL = 1  # seconds between two checks whether another process has ended


def work_of(place: Path | str) -> Path:
    """Where the unfinished work of a file or folder in results/ lies: in work/ beside results/."""
    parts = Path(place).parts
    at = parts.index(RESULTS)
    return Path(*parts[:at], WORK, *parts[at + 1 :])


@dataclass(frozen=True)
class Unfinished:
    """The work folder of a job, and its deadline (see `copylens.jobs.job.deadline`)."""

    work: Path
    deadline: float | None = None

    def run(
        self, identity: dict, outputs: list[Path], compute: Callable[[], Any], write: Callable[[Any], None]
    ) -> None:
        """Compute, write the `outputs`, and remove the work folder. Of a training's processes only the first writes.

        identity: settings, data, weights, code and versions of the job. If another process is at the same job, this one
        waits for its end, and does nothing if the outputs exist by then.
        """
        if rank():  # the processes that the first one starts share its lock
            compute()
            return
        with exclusive(self.work, identity, self.deadline) as waited:
            if waited and all(Path(path).exists() for path in outputs):
                return
            write(compute())
            discard(self.work)


@contextmanager
def exclusive(work: Path, identity: dict, deadline: float | None = None) -> Iterator[bool]:
    """Hold `work` alone. Waits for the process that holds it, until the `deadline` (then `OutOfTime`).

    A workflow that was killed leaves its cluster jobs running, and the next one submits them again. Yields whether
    this process waited for the same job (its `identity`): then the results may exist already.
    """
    path = work.with_name(f"{work.name}.lock")  # never removed: that would let two processes in
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        same = waiting = False
        while not _lock(file):
            if not waiting:
                print(f"another process works in {work}; waiting for its end", flush=True)
            waiting = True
            file.seek(0)
            same = same or file.read() == str(identity)
            if deadline is not None and time.time() > deadline:
                raise OutOfTime(f"{work}: another process works there; submit this job again after it")
            time.sleep(POLL)
        file.truncate(0)
        file.write(str(identity))
        file.flush()
        yield same
        file.truncate(0)


def _lock(file) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        print(f"{file.name}: this file system has no locks; make sure that no other workflow works here", flush=True)
    return True


def claim(work: Path, identity: dict) -> None:
    """Make `work` the folder of the job with this identity (settings, data, upstream weights, code, versions).

    The state of another job is archived in `<work>.aside`; an archived state of this job comes back.
    """
    aside, third = _aside(work), work.with_name(f"{work.name}.third")
    differing = _differing(work, identity)
    if work.exists() and differing:
        shutil.rmtree(third, ignore_errors=True)  # of a process that was killed here
        work.rename(third)
        if aside.exists() and not _differing(aside, identity):
            aside.rename(work)
            print(f"{work}: resuming the archived state of this job", flush=True)
        shutil.rmtree(aside, ignore_errors=True)
        third.rename(aside)
        print(f"{work}: state of a job with other {', '.join(differing)}; archived as {aside}", flush=True)
    write_yaml(identity, work / "identity.yaml")


def _differing(work: Path, identity: dict) -> list[str]:
    record = work / "identity.yaml"
    recorded = (read_yaml(record) if record.exists() else None) or {}
    return sorted(key for key in identity if recorded.get(key) != identity[key])


def discard(work: Path) -> None:
    """Remove a finished job's folder, and its archived state."""
    for folder in (work, _aside(work)):
        shutil.rmtree(folder, ignore_errors=True)


class Chunks:
    """A float32 array [*shape, ...] that is filled row by row of its leading axes `shape`, in order, and resumes where
    another process stopped. done: number of rows filled.
    """

    def __init__(self, work: Path, shape: tuple[int, ...]):
        self.path, self.progress, self.shape = work / "rows.npy", work / "progress.yaml", shape
        self.done = 0
        self._array: np.memmap | None = None
        if self.path.exists() and self.progress.exists():
            self.done = (read_yaml(self.progress) or {"rows": 0})["rows"]
            self._array = np.load(self.path, mmap_mode="r+", allow_pickle=False)
            print(f"{self.path}: resuming at row {self.done} of {len(self.rows)}", flush=True)

    @property
    def rows(self) -> np.ndarray:
        """The array with its leading axes as one, [row, ...]; it exists after the first `add`."""
        assert self._array is not None, f"{self.path} has no rows yet"
        return self._array.reshape(-1, *self._array.shape[len(self.shape) :])

    def add(self, rows: np.ndarray) -> None:
        """Append the next rows; on return they are in the file."""
        if self._array is None:
            self._array = reserve(self.path, (*self.shape, *rows.shape[1:]))
        self.rows[self.done : self.done + len(rows)] = rows
        self._array.flush()
        self.done += len(rows)
        write_yaml({"rows": self.done}, self.progress)

    def move_to(self, path: Path) -> None:
        """Make the filled array the file `path`."""
        self._array = None
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.stat().st_dev == path.parent.stat().st_dev:
            settle(self.path, path)
        else:
            with whole(path) as temporary:
                shutil.copyfile(self.path, temporary)


def _aside(work: Path) -> Path:
    return work.with_name(f"{work.name}.aside")
