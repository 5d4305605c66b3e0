"""A workflow that is disturbed at a random moment and run again ends as if nothing had happened, or says what is wrong.

A study and an audit are run once undisturbed. Each trial begins where that run was at a random moment, is disturbed a
random time later (`disturbances`), and the same command is run again until it succeeds, at most `TRIES` times; what an
error asks for is done. In the end every result has the bytes of the undisturbed run.
"""

import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from conftest import ROOT

from faults.disturbances import DISTURBANCES, NEED_MOUNT, Workflow, is_result

TRIES, LONGEST_S = 5, 300
DELAYS = (0.0, 12.0)  # seconds from the start of the command to the disturbance
# What an error may ask for: to delete a file, or the lock of a workflow that was killed.
DELETE = re.compile(r"copylens: (\S+): isn't what was written there")
UNLOCK = "--unlock"
SKEW = re.compile(r"older modification time \([^)]*\) than input (\S+) \(")  # Snakemake names a clock
CONFIG = {
    "datasets": {
        "chest": {
            **{"reader": "phantom", "anatomy": "xray", "n_patients": 56, "size": 16, "grid": [16, 16]},
            "split": {"train": 12, "calibration": 20, "control": 20},
        }
    },
    "models": {
        "autoencoder": {
            **{"kind": "autoencoder_kl", "channels": [8, 16]},
            "training": {"steps": 6, "batch_size": 8, "learning_rate": 1.0e-3, "checkpoint_every": 2},
        },
        "ldm": {
            **{"kind": "latent_diffusion", "autoencoder": {"model": "autoencoder"}, "channels": [8, 16]},
            "timesteps": 100,
            "training": {"steps": 6, "batch_size": 8, "learning_rate": 1.0e-3, "checkpoint_every": 2, "snapshots": [1]},
            "sampling": {"n_samples": 12, "steps": 3},
        },
        "copycat": {"kind": "copycat", "sampling": {"n_samples": 12}},
    },
    "detectors": {
        "pixel_correlation": {"kind": "pixel_correlation"},
        "pixel_l2_ratio": {"kind": "pixel_l2_ratio"},
        "random": {"kind": "random_features", "features": 8},
    },
    "studies": {
        "tiny": {
            **{"datasets": ["chest"], "models": ["ldm", "copycat"], "detectors": ["pixel_correlation", "random"]},
            **{"seeds": [0], "quality": "random", "figures": ["copies_by_model", "training_curves", "copy_pairs"]},
        }
    },
    "audits": {
        "release": {
            **{"training": "chest", "synthetic": {"model": "copycat"}},
            "detectors": ["pixel_correlation", "pixel_l2_ratio", "random"],
        }
    },
}
TARGETS = {"study": "study_tiny", "audit": "audits"}


@dataclass(frozen=True)
class Outcome:
    """What came of one trial. end: identical, differs, or why the command didn't succeed."""

    number: int
    target: str
    disturbance: str
    runs: int  # of the command, the disturbed one included
    named: tuple[str, ...]  # what errors asked for
    end: str
    left: tuple[str, ...]  # files that the undisturbed run doesn't leave
    seconds: float


def command_of(target: str, *options: str) -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", TARGETS[target], "--snakefile", str(ROOT / "Snakefile")]
    return [*snakemake, "--cores", "2", "--configfile", "config.yaml", *options]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")}


class Baseline:
    """The undisturbed run of one target in `folder`: its results' checksums, and when each of its files was written."""

    def __init__(self, target: str, folder: Path):
        self.target, self.folder = target, folder
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        started = time.time()
        done = subprocess.run(
            command_of(target), cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        self.span = started, time.time()
        self.checksums = checksums_of(folder)
        self.everything = everything_in(folder)

    def begin(self, folder: Path, moment: float) -> None:
        """Make `folder` what the baseline's was at `moment` (of time.time)."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        for path in sorted((folder / "results").rglob("*"), reverse=True):
            if path.is_file() and path.stat().st_mtime > moment:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):  # an empty folder would pass for a result
                path.rmdir()


def checksums_of(folder: Path) -> dict[str, str]:
    results = sorted(path for path in (folder / "results").rglob("*") if is_result(path, folder))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in results}


def everything_in(folder: Path) -> set[str]:
    """Files outside of Snakemake's own folder."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != ".snakemake"}


def disturbances() -> list[str]:
    """Those that this machine can bear."""
    mounts = can_mount()
    return [name for name in DISTURBANCES if mounts or name not in NEED_MOUNT]


def can_mount() -> bool:
    """Whether this process may mount file systems: some disturbances need it."""
    if os.geteuid() or not shutil.which("mount"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


@contextlib.contextmanager
def disk(folder: Path, own: bool) -> Iterator[None]:
    """`folder`, as a file system of its own where some disturbance needs one."""
    folder.mkdir(parents=True)
    if not own:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1G", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def try_one(number: int, baseline: Baseline, below: Path, names: list[str]) -> Outcome:
    """Trial `number`; everything about it follows from the number, but for what the machine's own pace decides."""
    generator = random.Random(number)
    name, delay = names[number % len(names)], generator.uniform(*DELAYS)
    moment = generator.uniform(*baseline.span)
    start, folder = time.monotonic(), below / f"trial_{number}"
    with disk(folder, name in NEED_MOUNT):
        baseline.begin(folder, moment)
        workflow = Workflow(command_of(baseline.target), folder, environment())
        try:
            with DISTURBANCES[name](workflow, delay, generator):
                workflow.wait(LONGEST_S)
            runs, named, failure = again(baseline, folder)
        finally:
            workflow.end()
        ends = checksums_of(folder)
        changed = sorted(path for path in baseline.checksums | ends if ends.get(path) != baseline.checksums.get(path))
        left = sorted(everything_in(folder) - baseline.everything)
        end = failure or (f"differs: {' '.join(changed)}" if changed else "identical")
        if changed and not failure and name == "byte flipped" and len(changed) == 1 and noticed(folder / changed[0]):
            end = "identical"  # nobody read it, and its checksum tells
    shutil.rmtree(folder)
    return Outcome(number, baseline.target, name, runs + 1, named, end, tuple(left), round(time.monotonic() - start, 1))


def again(baseline: Baseline, folder: Path) -> tuple[int, tuple[str, ...], str]:
    """Run the command until it succeeds: how often, what its errors asked for, and its last error if it doesn't."""
    named: list[str] = []
    for run in range(1, TRIES + 1):
        workflow = Workflow(command_of(baseline.target), folder, environment())
        status = workflow.wait(LONGEST_S)
        workflow.end()
        if status == 0:
            return run, tuple(named), ""
        if found := DELETE.search(workflow.output):
            named.append(f"delete {found[1]}")
            (folder / found[1]).unlink()
        elif found := SKEW.search(workflow.output):
            named.append(f"clock {found[1]}")
            for path in (folder / "results").rglob("*"):
                if path.stat().st_mtime > time.time():
                    os.utime(path)
        elif UNLOCK in workflow.output:
            named.append("unlock")
            subprocess.run(command_of(baseline.target, "--unlock"), cwd=folder, env=environment(), check=True)
    return TRIES, tuple(named), f"no end: {workflow.output[-2000:]}"


def noticed(path: Path) -> bool:
    """Whether the checksum beside a result says that it isn't what was written; a list of checksums is its own."""
    if path.name == "SHA256SUMS":
        return bool(
            subprocess.run(["sha256sum", "--check", "--strict", path.name], cwd=path.parent, check=False).returncode
        )
    note = path.with_name(f".{path.name}.sha256")
    return note.exists() and note.read_text().split()[0] != hashlib.sha256(path.read_bytes()).hexdigest()
