"""A folder in `work/`: what one unfinished job has done, held by one process at a time, and only ever one job's."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from copylens.files import read_yaml, whole, write_yaml


@contextmanager
def exclusive(work: Path, identity: dict) -> Iterator[bool]:
    """Hold `work` alone, waiting for whoever holds it now.

    A workflow that was killed leaves its cluster jobs running, and the next one submits them again. Yields whether
    this one waited for the same job (its `identity`): then the results may be there already.
    """
    path = work.with_name(f"{work.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    same = False
    while True:
        file = path.open("a+")
        if not _lock(file, wait=False):
            print(f"another process works in {work}; waiting for its end", flush=True)
            file.seek(0)
            same = file.read() == str(identity)
            _lock(file, wait=True)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # whoever held it has removed it
    file.truncate(0)
    file.write(str(identity))
    file.flush()
    try:
        yield same
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _lock(file, wait: bool) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        print(f"{file.name}: this file system has no locks; make sure that no other workflow works here", flush=True)
    return True


def claim(work: Path, identity: dict) -> None:
    """Make `work` the folder of the job with this identity (settings, data, upstream weights, code, versions).

    What another job left there is set aside, in `<work>.aside`.
    """
    record = work / "identity.yaml"
    if work.exists():
        found = read_yaml(record) if record.exists() else {}
        differing = sorted(key for key in identity if found.get(key) != identity[key])
        if differing:
            aside = _aside(work)
            shutil.rmtree(aside, ignore_errors=True)
            work.rename(aside)
            print(f"{work}: was left by a job of other {', '.join(differing)}; set aside as {aside}", flush=True)
    write_yaml(identity, record)


def discard(work: Path) -> None:
    """Remove what a finished job leaves, and what was set aside for it."""
    for folder in (work, _aside(work)):
        shutil.rmtree(folder, ignore_errors=True)


class Chunks:
    """A float32 array [*shape, ...] that is filled row by row of its leading axes `shape`, in order, and goes on where
    another process stopped. done: how many rows are there already.
    """

    def __init__(self, work: Path, shape: tuple[int, ...]):
        self.path, self.progress, self.shape = work / "rows.npy", work / "progress.yaml", shape
        self.done, self.rows = 0, None
        if self.path.exists() and self.progress.exists():
            self.done = read_yaml(self.progress)["rows"]
            self._open(np.load(self.path, mmap_mode="r+", allow_pickle=False))
            print(f"{self.path}: going on from row {self.done} of {len(self.rows)}", flush=True)

    def add(self, rows: np.ndarray) -> None:
        """The next rows; when this returns they are in the file."""
        if self.rows is None:
            self._open(open_memmap(self.path, mode="w+", dtype=np.float32, shape=(*self.shape, *rows.shape[1:])))
        self.rows[self.done : self.done + len(rows)] = rows
        self.array.flush()
        self.done += len(rows)
        write_yaml({"rows": self.done}, self.progress)

    def move_to(self, path: Path) -> None:
        """Make the filled array the file `path`."""
        self.array = self.rows = None
        with whole(path) as temporary:
            shutil.move(self.path, temporary)

    def _open(self, array: np.memmap) -> None:
        self.array = array
        self.rows = array.reshape(-1, *array.shape[len(self.shape) :])


def _aside(work: Path) -> Path:
    return work.with_name(f"{work.name}.aside")
