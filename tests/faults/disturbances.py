"""What can befall a workflow while it runs, one thing at a time; each is undone before the workflow is run again."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MIB = 2**20
ROOM = (1, 6)  # MiB that a full disk has left
AHEAD_S = 7200  # by which a clock is set back


class Workflow:
    """One command in a folder, its own process group; `output` is what it has written so far."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]):
        self.folder, self.log = folder, folder.parent / f"{folder.name}.{time.monotonic_ns()}.out"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
            )

    def wait(self, seconds: float) -> int | None:
        """Its exit status, or None if it still runs after so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def jobs(self) -> list[int]:
        """Processes of its jobs' scripts, by now."""
        return [number for number in descendants(self.process.pid) if "/.snakemake/scripts/" in command_of(number)]

    def end(self) -> None:
        """No process of it is left, wherever its parent is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def descendants(number: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{number}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def command_of(number: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ")
    return ""


# Each takes (workflow, delay in seconds, random numbers), disturbs it so long after its start, and yields while it
# goes on; afterwards what it did to the machine is undone.
Disturbance = Callable[[Workflow, float, random.Random], contextlib.AbstractContextManager[None]]


def _signalled(which: Callable[[Workflow, random.Random], None]) -> Disturbance:
    @contextlib.contextmanager
    def disturb(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
        if workflow.wait(delay) is None:
            which(workflow, generator)
        yield

    return disturb


def _kill_a_job(workflow: Workflow, generator: random.Random) -> None:
    until = time.monotonic() + 10
    while not (jobs := workflow.jobs()) and workflow.process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    if jobs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(generator.choice(jobs), signal.SIGKILL)


def _kill_the_workflow(workflow: Workflow, generator: random.Random) -> None:
    workflow.process.kill()  # its jobs live on


def _kill_everything(workflow: Workflow, generator: random.Random) -> None:
    os.killpg(workflow.process.pid, signal.SIGKILL)


def _terminate(workflow: Workflow, generator: random.Random) -> None:
    workflow.process.terminate()


@contextlib.contextmanager
def _full_disk(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
    """The folder is a file system of its own; so little room is left on it from the start."""
    workflow.wait(delay)
    used = os.statvfs(workflow.folder)
    left = round(generator.uniform(*ROOM) * MIB)
    remount(workflow.folder, (used.f_blocks - used.f_bfree) * used.f_frsize + left)
    try:
        yield
    finally:
        remount(workflow.folder, 2**30)


@contextlib.contextmanager
def _read_only(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
    workflow.wait(delay)
    results = str(workflow.folder / "results")
    subprocess.run(["mount", "--bind", results, results], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", results], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)


@contextlib.contextmanager
def _second_workflow(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
    workflow.wait(delay)
    other = Workflow(list(workflow.process.args), workflow.folder, dict(os.environ))  # type: ignore[arg-type]
    try:
        yield
        other.wait(300)
    finally:
        other.end()


@contextlib.contextmanager
def _clock_set_back(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
    """What is there was written later than now."""
    workflow.wait(delay)
    for path in (workflow.folder / "results").rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            os.utime(path, (status.st_atime + AHEAD_S, status.st_mtime + AHEAD_S))
    yield


@contextlib.contextmanager
def _flipped_byte(workflow: Workflow, delay: float, generator: random.Random) -> Iterator[None]:
    """In a file that is there, without changing its time."""
    workflow.wait(delay)
    files = sorted(path for path in (workflow.folder / "results").rglob("*") if is_result(path, workflow.folder))
    path = generator.choice(files) if files else workflow.folder / "nothing.npy"
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        if status.st_size:
            place, bit = generator.randrange(status.st_size), 1 << generator.randrange(8)
            with path.open("r+b") as file:
                file.seek(place)
                byte = file.read(1)[0] ^ bit
                file.seek(place)
                file.write(bytes([byte]))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    yield


DISTURBANCES: dict[str, Disturbance] = {
    "job killed": _signalled(_kill_a_job),
    "workflow killed": _signalled(_kill_the_workflow),
    "both killed": _signalled(_kill_everything),
    "workflow terminated": _signalled(_terminate),
    "byte flipped": _flipped_byte,
    "second workflow": _second_workflow,
    "clock set back": _clock_set_back,
    "disk full": _full_disk,
    "folder read-only": _read_only,
}
NEED_MOUNT = ("disk full", "folder read-only")


def is_result(path: Path, folder: Path) -> bool:
    """Whether a file is compared at the end: of results/, not a log, hidden or unfinished."""
    parts = path.relative_to(folder).parts
    return path.is_file() and parts[1] != "logs" and not any(part.startswith(".") for part in parts)


def remount(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
