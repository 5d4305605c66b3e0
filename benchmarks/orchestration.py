"""The share of a study's time outside training, sampling and embedding: set-up, imports, planning, figures.

    time make study
    .venv/bin/python benchmarks/orchestration.py results 2 850

Arguments: the results of a study that ran whole, the number of its cores, and its wall time in seconds. Each job's log
has the seconds of its computing, on one thread as in `make study`; the rest of cores x seconds is overhead, idle cores
included.
"""

import re
import sys
from pathlib import Path


def computing(results: Path) -> dict[str, float]:
    """Seconds by kind of work, summed over all jobs."""
    seconds = {}
    for log in sorted((results / "logs").rglob("*.log")):
        for stage, duration in re.findall(r"^(\w+) took ([\d.]+) s$", log.read_text(), flags=re.MULTILINE):
            seconds[stage] = seconds.get(stage, 0.0) + float(duration)
    return seconds


if __name__ == "__main__":
    folder, cores, elapsed = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    by_stage = computing(folder)
    overhead = cores * elapsed - sum(by_stage.values())
    for stage, total in sorted(by_stage.items(), key=lambda item: -item[1]):
        print(f"{stage:15} {total:8.0f} core-seconds")
    print(f"{'everything else':15} {overhead:8.0f} core-seconds")
    print(f"that is {overhead / (cores * elapsed):.1%} of {cores:g} cores x {elapsed:g} s")
