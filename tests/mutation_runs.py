"""A stranger's data set read to its end in a process of its own: what came of it, how long it took, and its memory."""

import os
import re
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from copylens.data import images, listing
from copylens.jobs import lean_monai
from copylens.jobs.files import read_table
from copylens.jobs.job import one_line

LOADED = lean_monai  # in the first process, for all that are forked off
KEYS = "root|patient|table|about|entries|spacing|images|patient_tag"
LONGEST_S = 60.0  # a process that is still at one data set by then is killed
GIB = 2**30


@dataclass(frozen=True)
class Outcome:
    """What came of one data set: read, refused, traceback or killed."""

    number: int
    kind: str
    seconds: float  # of computing
    gib: float  # how far the process's memory grew at its peak
    message: str


def read_all(raw: Path, settings: dict) -> None:
    """What the rules list_scans and gather_images do with the folder `raw`, on a small grid of its images' axes."""
    out = raw.parent / "out"
    listing.list_scans(settings, out / "scans.tsv")
    axes = len(read_table(out / "scans.tsv")["shape"][0].split("x"))
    imaging = {"grid": [8] * axes, "fit": "pad", "scaling": {"kind": "minmax"}}
    images.gather_images(settings, imaging, out / "scans.tsv", out / "images.npy")


def try_one(number: int, write: Callable[[Path, int], dict]) -> Outcome:
    """Write a data set and read it. A refusal is a ValueError that begins with a file's name or a key."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COPYLENS_DATA"] = folder
        raw = Path(folder) / "raw"
        raw.mkdir()
        settings = write(raw, number)
        before, start, children = _reset_peak(), _computed(), _peak_of_children()
        kind, message = "read", ""
        try:
            read_all(raw, settings)
        except ValueError as error:
            message = one_line(str(error))
            kind = "refused" if _names_its_place(raw, message) else "traceback"
        except BaseException as error:
            kind, message = "traceback", repr(error)
        if kind == "traceback":
            message += " | " + " < ".join(line.strip() for line in traceback.format_exc().splitlines()[-8:])
        whole = {"scans.tsv", "images.npy", "restricted"}
        left = {path.name for path in Path(folder).glob("out/*")} - whole - {f".{name}.sha256" for name in whole}
        if left:
            kind, message = "traceback", f"leaves {left}; {message}"
        peak = _peak() if _peak_of_children() == children else max(_peak(), _peak_of_children())
        return Outcome(number, kind, _computed() - start, (peak - before) / GIB, message)


def try_many(numbers: list[int], write: Callable[[Path, int], dict]) -> list[Outcome]:
    """`try_one` of each number in processes that are forked off: what kills one of them is told of one number."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        outcomes = []
        while len(outcomes) < len(numbers):
            waiting = numbers[len(outcomes) :]
            report = Path(folder) / "outcomes"
            report.write_text("")
            child = os.fork()
            if child == 0:
                _report(waiting, write, report, Path(folder))
            _wait(child, report)
            lines = report.read_text(errors="surrogateescape").splitlines()
            for line in lines:
                number, kind, seconds, gib, message = line.split("\t", 4)
                outcomes.append(Outcome(int(number), kind, float(seconds), float(gib), message))
            if len(lines) < len(waiting):
                number = waiting[len(lines)]
                outcomes.append(Outcome(number, "killed", LONGEST_S, 0.0, "the process died, or took too long"))
            for left in Path(folder).glob("tmp*"):
                shutil.rmtree(left)
        return outcomes


def _report(numbers: list[int], write: Callable[[Path, int], dict], report: Path, folder: Path) -> None:
    tempfile.tempdir = str(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        with report.open("a", buffering=1, errors="surrogateescape") as file:
            for number in numbers:
                outcome = try_one(number, write)
                values = (number, outcome.kind, outcome.seconds, outcome.gib, outcome.message.replace("\t", " "))
                file.write("\t".join(map(str, values)) + "\n")
    finally:
        os._exit(0)


def _wait(child: int, report: Path) -> None:
    """Until the child ends; it's killed where its report hasn't grown for a while."""
    size, since = 0, time.monotonic()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.02)
        if report.stat().st_size != size:
            size, since = report.stat().st_size, time.monotonic()
        if time.monotonic() - since > 2 * LONGEST_S:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return


def _names_its_place(raw: Path, message: str) -> bool:
    """Whether a refusal begins with a file or folder of the data set, or with a key, and shows no path above it."""
    names = {str(path.relative_to(raw)) for path in raw.glob("**/*")}
    named = message.split(": ")[0]
    if "leads out of the folder of its data set" in message:  # begins with the table's own word
        return str(raw.parent) not in message
    inner = {f"{name}/{part}" for name in names for part in ("train", "val", "test")}
    return (named in names | inner or bool(re.match(rf"({KEYS}): ", message))) and str(raw.parent) not in message


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak_of_children() -> int:
    """The most memory that a process of this one's has ever had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def _computed() -> float:
    """Seconds that this process and those that it has started have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak() -> int:
    """The process's most memory since it was reset, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))
