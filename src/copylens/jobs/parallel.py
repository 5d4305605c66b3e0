"""Many small pieces of work in several processes, the results in order."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
PR_SET_PDEATHSIG = 1  # of Linux's prctl
MOST_AT_ONCE = 64  # pieces that a process takes at a time

_work: Callable[[int], object] | None = None  # what forks inherit


def end_with_parent() -> None:
    """In a fork: be killed when the process that forked ends (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def in_order(work: Callable[[int], T], n: int, n_processes: int) -> Iterator[T]:
    """work(0), ..., work(n - 1), computed by forks of this process, each on one thread.

    What they write to a memory-mapped file is seen here. The first error, in the order of the numbers, is raised as it
    would be without forks, and the others aren't waited for; OSError if a fork is killed. On systems other than Linux
    there is one process.
    """
    global _work
    if n_processes == 1 or n < 2 or sys.platform != "linux":
        yield from map(work, range(n))
        return
    size = max(1, min(MOST_AT_ONCE, n // (4 * n_processes)))
    blocks = [range(first, min(first + size, n)) for first in range(0, n, size)]
    _work = work
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(n_processes, len(blocks)), mp_context=fork, initializer=_begin)
    try:
        for results in pool.map(_each, blocks):
            yield from results
    except BrokenProcessPool:
        raise OSError("a process that this job started was killed; it may need more memory (mem_mb)") from None
    finally:
        pool.shutdown(cancel_futures=True)
        _work = None


def _begin() -> None:
    end_with_parent()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _each(block: range) -> list:
    assert _work is not None
    return [_work(number) for number in block]
