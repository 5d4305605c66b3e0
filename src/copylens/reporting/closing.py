"""The last lines of a run: the rates of each study, the verdict of each audit, and where figures and reports are; or
what failed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from copylens.jobs.files import read_table
from copylens.reporting.sentences import percent

FAILED, LOG = re.compile(r"^Error in (?:local)?rule (\w+)"), re.compile(r"^\s+log: (.+?)(?: \(check log file.*)?$")
RAISED = re.compile(r"^(?:[\w.]+\.)?(?:ValueError|OSError|OutOfTime|\w+Error): (.+)")
COLUMNS = ("data set", "network", "copies", "patients memorized", "control rate")


def closing_lines(config: dict, results: Path) -> list[str]:
    """Lines about the studies and audits of a checked configuration that have results.

    A table that can't be read is named; a finished run doesn't fail for it.
    """
    lines = []
    for study in config["studies"]:
        lines += _lines(_study_lines, study, results / "scores" / f"{study}.csv", results / "figures" / study)
    for audit in config["audits"]:
        public = results / "audits" / audit / "public"
        lines += _lines(_audit_lines, audit, public / "verdict.json", public / "report.html")
    return lines


def _lines(lines_of: Callable[[str, Path], list[str]], name: str, table: Path, shown: Path) -> list[str]:
    if not table.is_file():
        return []
    try:
        return ["", *lines_of(name, table), f"Results: {table}, {shown}"]
    except (ValueError, KeyError, OSError) as error:
        return ["", f"{table}: can't be read ({next(iter(str(error).splitlines()), 'empty')})"]


def _study_lines(study: str, scores: Path) -> list[str]:
    return [f"{study}: rates by the matched rule, means over seeds", *_table(_rates(read_table(scores)))]


def _audit_lines(audit: str, path: Path) -> list[str]:
    verdict = json.loads(path.read_text(encoding="utf-8"))
    return [f"{audit}: {verdict['verdict']}. {verdict['reasons'][0]}"]


def _rates(scores: pd.DataFrame) -> list[tuple[str, ...]]:
    """A row per data set, network and, where there are several, detector, at the last epoch of each network."""
    matched = scores[scores["rule"] == "matched"]
    several = matched["detector"].nunique() > 1
    rows = []
    for (dataset, model, variant, detector), runs in matched.groupby(
        ["dataset", "model", "variant", "detector"], sort=False
    ):
        last = runs[runs["epoch"] == runs.groupby("seed")["epoch"].transform("max")]
        network = (model if variant == "base" else f"{model} {variant}") + (f", {detector}" if several else "")
        rates = (percent(last[rate].mean()) for rate in ("copies", "patients_memorized", "control_rate"))
        rows.append((dataset, network, *rates))
    return rows


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    cells = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def failure_lines(log: Path) -> list[str]:
    """For each rule that failed, by the workflow's own log: what was wrong, in a line, and the log that has more."""
    lines, rule, seen = [], None, set()
    for line in log.read_text(errors="backslashreplace", encoding="utf-8").splitlines():
        if failed := FAILED.match(line):
            rule = failed[1]
        elif rule and (named := LOG.match(line)):
            if named[1] not in seen:
                lines.append(f"Failed: {rule}: {_raised(Path(named[1]))} (more in {named[1]})")
            seen.add(named[1])
            rule = None
    return lines


def _raised(log: Path) -> str:
    """The last error in a job's log."""
    try:
        text = log.read_text(errors="backslashreplace", encoding="utf-8")
    except OSError:
        return "its job ended without a word"
    raised = [line for line in text.splitlines() if RAISED.match(line)]
    return RAISED.sub(r"\1", raised[-1]) if raised else "its job ended without an error of its own"
