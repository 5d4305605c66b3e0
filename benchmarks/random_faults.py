"""A study and an audit disturbed at random moments, many times: does the same command end as if nothing had happened?

    .venv/bin/python benchmarks/random_faults.py 100 FOLDER

Arguments: number of trials of each of the two, and an empty folder for them. `tests/faults/random_faults.py` says what
a trial is. Writes benchmarks/random_faults.tsv, a row per target and disturbance: trials; how many ended identical, of
these how many after an error that named what was to be done; how many left files behind; runs of the command and
seconds (means). Exits with 1 if a trial ended otherwise.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import pandas as pd
from faults.random_faults import TARGETS, Baseline, Outcome, disturbances, try_one


def row_of(key: tuple[str, str], outcomes: list[Outcome]) -> dict:
    target, disturbance = key
    return {
        "target": target,
        "disturbance": disturbance,
        "trials": len(outcomes),
        "identical": sum(outcome.end == "identical" for outcome in outcomes),
        "named": sum(bool(outcome.named) for outcome in outcomes),
        "left_behind": sum(bool(outcome.left) for outcome in outcomes),
        "runs": round(sum(outcome.runs for outcome in outcomes) / len(outcomes), 2),
        "seconds": round(sum(outcome.seconds for outcome in outcomes) / len(outcomes), 1),
    }


def main() -> int:
    n, folder = int(sys.argv[1]), Path(sys.argv[2])
    names, outcomes = disturbances(), {}
    for target in TARGETS:
        baseline = Baseline(target, folder / f"baseline_{target}")
        for number in range(n):
            outcome = try_one(number, baseline, folder, names)
            print(outcome, flush=True)
            outcomes.setdefault((target, outcome.disturbance), []).append(outcome)
            rows = [row_of(key, found) for key, found in outcomes.items()]
            pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)
    print(pd.DataFrame(rows).to_string(index=False))
    everything = [outcome for found in outcomes.values() for outcome in found]
    return int(any(outcome.end != "identical" or outcome.left for outcome in everything))


if __name__ == "__main__":
    sys.exit(main())
