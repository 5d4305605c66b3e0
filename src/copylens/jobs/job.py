"""The frame of every rule's script: output to a log, a fixed number of threads, a user's mistake as one line."""

import contextlib
import fcntl
import gc
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from copylens.jobs.forks import run_as_fork

# Batch systems' variables for a job's number.
BATCH_VARIABLES = ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "SGE_TASK_ID")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

own_process = False  # whether this process is a job's, and not a user's


class OutOfTime(Exception):
    """A job stops before its time limit; submitted again, it resumes."""


def deadline(runtime: float) -> float | None:
    """Time by which this job must end, in seconds of `time.time`: Slurm's, or else the rest of `runtime` minutes in a
    job of a batch system. None elsewhere, where jobs have no time limit."""
    if "SLURM_JOB_END_TIME" in os.environ:
        return float(os.environ["SLURM_JOB_END_TIME"])
    if in_batch():
        begun = min(120, 6 * runtime)  # seconds assumed between the job's start and this line
        return time.time() + 60 * runtime - begun
    return None


def in_batch() -> bool:
    """Whether a batch system runs this process."""
    return any(name in os.environ for name in BATCH_VARIABLES)


def rank() -> int:
    """Number of this process in a training on several devices; 0 for the first one, and in every other job."""
    return int(os.environ.get("LOCAL_RANK", 0))


def claim_gpus(n: int, gpus: list[Path]) -> list[int]:
    """Take `n` of this machine's GPUs (their device files) until this process ends, by their positions.

    GPUs that another job holds are left out. If fewer than `n` are free, none is taken and all are returned: then the
    jobs were meant to share them.
    """
    taken = []
    for position, gpu in enumerate(gpus):
        file = os.open(gpu, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            continue
        taken.append((position, file))  # never closed: that would give the GPU back
        if len(taken) == n:
            return [position for position, _ in taken]
    for _, file in taken:
        os.close(file)
    return list(range(len(gpus)))


def one_line(text: str) -> str:
    """Text that is safe on a terminal: a file's name may hold line breaks and control sequences."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


@contextlib.contextmanager
def timed(stage: str) -> Iterator[None]:
    """Print how long the body took; benchmarks/orchestration.py sums these lines over a study."""
    start = time.perf_counter()
    yield
    print(f"{stage} took {time.perf_counter() - start:.2f} s", flush=True)


@contextlib.contextmanager
def job(
    log: str, threads: int, n_gpus: int = 0, libraries: tuple[str, ...] = (), cost: str | None = None
) -> Iterator[None]:
    """Run the body with `threads` threads, `n_gpus` GPUs of its own and its output in the file `log`.

    Import numeric libraries inside the body: they read the number of threads when they are imported. On one machine the
    body runs in a fork that has them already, and `libraries`, which few jobs need (`copylens.jobs.forks`).
    cost: a table to write, with the seconds that the body took, and the peak memory of its process in MiB.
    A ValueError (a user's mistake), an OSError (a disk's or a system's) and the end of its time end the process with
    one line on stderr; the log has every traceback.
    """
    global own_process
    own_process = True
    gc.set_threshold(100_000, 50, 50)  # imports stay to the end: collecting garbage among them takes a tenth
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    if not (rank() or in_batch()) and (status := run_as_fork(libraries)) is not None:
        raise SystemExit(status)
    if n_gpus and "CUDA_VISIBLE_DEVICES" not in os.environ:  # a batch system sets it
        gpus = sorted(Path("/dev").glob("nvidia[0-9]*"), key=lambda path: int(path.name.removeprefix("nvidia")))
        if gpus:
            mine = ",".join(map(str, claim_gpus(n_gpus, gpus)))
            os.environ.update(CUDA_VISIBLE_DEVICES=mine, CUDA_DEVICE_ORDER="PCI_BUS_ID")
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    if rank() == 0:
        Path(log).write_text("", encoding="utf-8")
    start = time.perf_counter()
    # A file's name needn't be UTF-8.
    with open(log, "a", buffering=1, errors="backslashreplace", encoding="utf-8") as file:
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
            if cost and rank() == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                Path(cost).write_text(
                    f"s\tmemory_mib\n{time.perf_counter() - start:.2f}\t{peak:.0f}\n", encoding="utf-8"
                )
        except Exception as error:
            if rank() and isinstance(error, OutOfTime):
                return  # the first process reports it
            traceback.print_exc(file=file)
            if not isinstance(error, ValueError | OSError | OutOfTime):
                raise
            print(f"copylens: {one_line(str(error))}", file=sys.stderr)
            raise SystemExit(1) from None
