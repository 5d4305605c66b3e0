"""The workflow as a process: its own output in a file, one line per stage for who watches, one line for an error."""

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from copylens.cli.surroundings import UTF8
from copylens.config.pipeline import pipeline_folder

# What a rule of an audit does, and its seconds for 100 samples against 140 + 140 patients at 64x64, of which only the
# proportions count, for the time that is left. A rule that isn't here is shown by its name.
STAGES = {
    "list_scans": ("reading the images", 4),
    "gather_images": ("resampling them", 13),
    "split_patients": ("splitting patients", 4),
    "pool_images": ("pooling images and patients", 12),
    "train_audit_detector": ("fitting detectors", 25),
    "plant_audit_copies": ("planting copies", 14),
    "measure_kind": ("asking whether the samples are of the patients' kind, and what they tell", 16),
    "measure_attacks": ("asking whether the samples are of the patients' kind, and what they tell", 12),
    "compare_audit": ("comparing samples with training images", 66),
    "judge_audit": ("judging", 12),
    "gather_rest": ("gathering the samples that are left", 3),
    "report_audit": ("writing the reports", 12),
}
TARGETS = {"all", "audits"}
RULE, DONE = re.compile(r"^(?:local)?rule (\w+):"), re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)")
PLANNED = re.compile(r"^(\w+) +(\d+)$")
UNKNOWN = "the workflow failed"


INSTALL = "pip install 'copylens[workflow,train]'"


class WorkflowFailed(Exception):
    """In one line, with the file that has more."""


def run_workflow(arguments: list[str], folder: Path, log: Path, say: Callable[[str], None] = print) -> None:
    """Run snakemake with `arguments` in `folder`; its output goes to `log`, and a line per stage to `say`.

    Raises WorkflowFailed, in one line, where it fails.
    """
    require_workflow()
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(pipeline_folder() / "Snakefile")]
    command += ["--directory", str(folder), "--nocolor"]
    log.parent.mkdir(parents=True, exist_ok=True)
    progress, lines = Progress(say), []
    with log.open("w", buffering=1, errors="backslashreplace", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            env=os.environ | {"PYTHONUNBUFFERED": "1", UTF8: "1"},
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                lines.append(line.rstrip("\n"))
                progress.see(lines[-1])
        except KeyboardInterrupt:
            process.wait()
            raise
        if process.wait():
            raise WorkflowFailed(f"{error_in(lines)} (more in {log})")


def has_workflow() -> bool:
    """Whether Snakemake is installed."""
    return importlib.util.find_spec("snakemake") is not None


def require_workflow() -> None:
    """Raise WorkflowFailed, with what to do, where Snakemake isn't installed."""
    if not has_workflow():
        raise WorkflowFailed(f"needs Snakemake; install it by: {INSTALL}")


def profile_path(name: str) -> str:
    """A profile of the user's, or one of the workflow's own by its name (profiles/)."""
    own = pipeline_folder() / "profiles" / name
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().resolve())
    return str(own) if own.is_dir() else name


def error_in(lines: list[str]) -> str:
    """The line of the workflow's output that matters to its user."""
    jobs = [line.removeprefix("copylens: ") for line in lines if line.startswith("copylens: ")]
    if jobs:
        return jobs[-1]
    for number, line in enumerate(lines):
        if re.match(r"^(\w+(Error|Exception))\b", line):
            text = line.split(":", 1)[1].strip() if ": " in line else next((x for x in lines[number + 1 :] if x), "")
            return text.strip() or line
    return UNKNOWN


class Progress:
    """Lines like `[ 5 of 18] comparing samples with training images, about 3 min left`."""

    def __init__(self, say: Callable[[str], None]):
        self.say, self.started = say, time.monotonic()
        self.planned: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.shown: set[str] = set()

    def see(self, line: str) -> None:
        """Take in a line of the workflow's output."""
        if (planned := PLANNED.match(line)) and planned[1] != "total" and not self.shown:
            self.planned[planned[1]] = int(planned[2])
        elif done := DONE.search(line):
            self.done[done[1]] = self.done.get(done[1], 0) + 1
        elif (rule := RULE.match(line)) and rule[1] not in TARGETS:
            stage = STAGES[rule[1]][0] if rule[1] in STAGES else rule[1].replace("_", " ")
            if stage in self.shown:
                return
            self.shown.add(stage)
            n_done, n = sum(self.done.values()), sum(self.planned.values())
            self.say(f"[{n_done:>2} of {n}] {stage}{self._left()}")

    def _left(self) -> str:
        if not self.planned.keys() - TARGETS <= STAGES.keys():
            return ""  # trainings take as long as their configuration says
        whole, done = (
            sum(n * STAGES[name][1] for name, n in counts.items() if name in STAGES)
            for counts in (self.planned, self.done)
        )
        elapsed = time.monotonic() - self.started
        if done < 0.1 * whole or elapsed < 5:
            return ""
        left = elapsed * (whole - done) / done
        return f", about {left:.0f} s left" if left < 90 else f", about {left / 60:.0f} min left"
