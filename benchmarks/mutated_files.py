"""The readers on damaged files: each file must be read, or refused in one sentence, at a bounded cost.

    python benchmarks/mutated_files.py 2000

Argument: number of mutated files of each reader. They are made from valid ones by their number and a seed
(tests/reader_mutations.py); hostile files come on top (tests/hostile_files.py). Each is listed, loaded and resampled as
`list_scans` and `gather_images` do. Writes benchmarks/mutated_files.tsv, a row per reader: how many were read, refused
with the file's name or the key, ended in a traceback or killed the process; how many took more than 10 s of computing
or 1 GiB of memory beyond the libraries', and the most of both. Exits with 1 if any file ended in a traceback, killed
the process or took more.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import pandas as pd
from hostile_files import HOSTILE, write_hostile
from mutation_runs import Outcome, try_many
from reader_mutations import DAMAGES, write_mutant

MOST_S, MOST_GIB = 10, 1


def row_of(reader: str, n: int) -> dict:
    """Counts of a reader's mutants and hostile files; prints the failures."""
    names = [name for name, hostile in HOSTILE.items() if hostile.reader == reader]
    start = time.perf_counter()
    outcomes = try_many(list(range(n)), lambda raw, number: write_mutant(raw, reader, number))
    outcomes += try_many(list(range(len(names))), lambda raw, number: write_hostile(raw, names[number]))
    for outcome in filter(is_bad, outcomes):
        print(f"{reader}: {outcome}")
    kinds = Counter(outcome.kind for outcome in outcomes)
    return {
        "reader": reader,
        "mutated": n,
        "hostile": len(names),
        **{kind: kinds[kind] for kind in ("read", "refused", "traceback", "killed")},
        "over_10_s": sum(outcome.seconds > MOST_S for outcome in outcomes),
        "over_1_gib": sum(outcome.gib > MOST_GIB for outcome in outcomes),
        "most_s": round(max(outcome.seconds for outcome in outcomes), 1),
        "most_gib": round(max(outcome.gib for outcome in outcomes), 2),
        "took_s": round(time.perf_counter() - start),
    }


def is_bad(outcome: Outcome) -> bool:
    return outcome.kind in ("traceback", "killed") or outcome.seconds > MOST_S or outcome.gib > MOST_GIB


def main(n: int) -> int:
    table = pd.DataFrame([row_of(reader, n) for reader in DAMAGES])
    table.to_csv(Path(__file__).with_name("mutated_files.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))
    return int(table[["traceback", "killed", "over_10_s", "over_1_gib"]].to_numpy().any())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
