"""Which share of a study's time is not training, sampling or embedding: set-up, imports, planning, figures.

    time make study
    .venv/bin/python benchmarks/orchestration.py results 2 850

Arguments: the results of a study that ran whole, the cores that it had, and the seconds that it took from outside. Each
job's log says how long its computing took, on one thread as in `make study`; what is left of cores x seconds is the
rest, idle cores included.
"""

import re
import sys
from pathlib import Path


def computing(results: Path) -> dict[str, float]:
    """Seconds by kind of work, summed over all jobs."""
    seconds = {}
    for log in sorted((results / "logs").rglob("*.log")):
        for what, took in re.findall(r"^(\w+) took ([\d.]+) s$", log.read_text(), flags=re.MULTILINE):
            seconds[what] = seconds.get(what, 0.0) + float(took)
    return seconds


if __name__ == "__main__":
    folder, cores, elapsed = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    found = computing(folder)
    for what, total in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{what:15} {total:8.0f} core-seconds")
    print(f"{'everything else':15} {cores * elapsed - sum(found.values()):8.0f} core-seconds")
    print(f"that is {1 - sum(found.values()) / (cores * elapsed):.1%} of {cores:g} cores x {elapsed:g} s")
