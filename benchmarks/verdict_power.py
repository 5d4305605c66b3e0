"""How often an audit passes, by kind of samples: the real verdict on simulated findings whose truth is known.

    python benchmarks/verdict_power.py 120

Argument: draws a cell. Three detectors score 200 training, 120 calibration and 120 control patients, 300 to 3,000
samples and 100 planted copies of each of nine kinds. Similarities of new patients are normal; those of different
detectors have a common part, and the more alike a new patient is to a training patient, the more often all detectors
name the same one: two of them agree by chance on about 1 % of new patients. Copies are more alike by a number of
deviations. Writes benchmarks/verdict_power.tsv: a row per cell, with the share of draws that PASS, FAIL and are NOT
ABLE TO SAY, and how often the intervals of copies and of patients hold the truth. Where only one detector sees the
copies they needn't: the rule asks for two.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.evidence import Evidence, Findings, Near
from copylens.auditing.verdict import judge
from copylens.config import schema

DETECTORS = ("first", "second", "third")
N_TRAIN, N_HELD_OUT, N_PLANTED = 200, 120, 100
COMMON = 0.6  # of the detectors' correlation on new patients
LIKE_SOMEBODY = 0.35  # of new patients: all detectors name the same patient, the surer the more alike
COPY = 6.0  # deviations by which a copy is more alike
BARELY = 3.3  # the same of copies that the usual threshold finds in 95 %
FOUND_LEAST = 0.9  # of the kind that is found least

# Kinds of samples: n, share of copies, and the deviations by which copies are more alike to each detector.
CELLS = {
    "new patients, 300": (300, 0.0, (COPY,) * 3),
    "new patients, 1,000": (1000, 0.0, (COPY,) * 3),
    "new patients, 3,000": (3000, 0.0, (COPY,) * 3),
    "one detector sees 10 %": (300, 0.10, (COPY, 0, 0)),
    "one detector sees 20 %": (300, 0.20, (COPY, 0, 0)),
    "one detector barely sees 10 %": (300, 0.10, (BARELY, 0, 0)),
    "one detector barely sees 20 %": (300, 0.20, (BARELY, 0, 0)),
    "10 %": (300, 0.10, (COPY,) * 3),
    "10 %, 1,000": (1000, 0.10, (COPY,) * 3),
    "least-found kind, 6 %": (300, 0.06, "least"),
    "least-found kind, 8 %": (300, 0.08, "least"),
    "least-found kind, 6 %, 3,000": (3000, 0.06, "least"),
    "two detectors see 30 %": (300, 0.30, (COPY, COPY, 0)),
    "all are copies": (300, 1.0, (COPY,) * 3),
}


def new_patients(generator: np.random.Generator, n: int) -> tuple[dict, dict]:
    """Similarity and nearest patient of images of new patients, by detector."""
    common = generator.normal(size=n)
    somebody = generator.integers(N_TRAIN, size=n)
    same = generator.random(n) < LIKE_SOMEBODY * (1 / (1 + np.exp(-2 * (common - 1))))
    similarity, patient = {}, {}
    for name in DETECTORS:
        similarity[name] = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * generator.normal(size=n)
        patient[name] = np.where(same, somebody, generator.integers(N_TRAIN, size=n))
    return similarity, patient


def found_in(generator: np.random.Generator, source: np.ndarray, more_alike: np.ndarray) -> tuple[dict, dict]:
    """The same of images that are copies of `source` (-1: no copy), more alike by [detector, image]."""
    similarity, patient = new_patients(generator, len(source))
    for number, name in enumerate(DETECTORS):
        sees = (source >= 0) & (more_alike[number] > 0)
        similarity[name] = similarity[name] + np.where(sees, more_alike[number], 0)
        patient[name] = np.where(sees, source, patient[name])
    return similarity, patient


def evidence(
    generator: np.random.Generator, n: int, share: float, more_alike, kinds: list[str]
) -> tuple[Evidence, int]:
    """Findings, and how many patients are exposed in truth."""
    n_copies = round(share * n)
    source = np.where(np.arange(n) < n_copies, generator.permutation(n) % N_TRAIN, -1)
    least = more_alike == "least"
    alike = np.tile(np.array([COPY] * 3 if least else more_alike)[:, None], n)
    if least:
        # The kind that is found least is missed by all detectors alike.
        alike *= generator.random(n) < FOUND_LEAST
    sets = {"synthetic": found_in(generator, source, alike)}
    sets |= {name: new_patients(generator, N_HELD_OUT) for name in ("calibration", "control")}
    of_planted = np.concatenate([np.arange(N_PLANTED), np.full(N_PLANTED, -1)])
    planted = []
    for number in range(len(kinds)):
        seen = np.full((3, 2 * N_PLANTED), COPY) * (
            generator.random(2 * N_PLANTED) < (FOUND_LEAST if number == 1 else 1)
        )
        planted.append(found_in(generator, of_planted, seen))
    sets["planted"] = tuple(
        {name: np.concatenate([part[place][name] for part in planted]) for name in DETECTORS} for place in (0, 1)
    )
    empty = ({name: np.empty(0) for name in DETECTORS}, {name: np.empty(0, int) for name in DETECTORS})
    sets |= {"calibration_decoded": empty, "control_decoded": empty}
    found = {
        name: Findings(*({part: pair[place][name] for part, pair in sets.items()} for place in (0, 1)))
        for name in DETECTORS
    }
    roles = ["train"] * N_TRAIN + ["calibration"] * N_HELD_OUT + ["control"] * N_HELD_OUT
    splits = pd.DataFrame({"patient": [f"patient_{row:05d}" for row in range(len(roles))], "role": roles})
    sources = pd.DataFrame(
        {
            "patient": [*splits["patient"][:N_PLANTED], *splits["patient"][-N_PLANTED:]],
            "role": ["train"] * N_PLANTED + ["control"] * N_PLANTED,
        }
    )
    near = {"synthetic": new_patients(generator, min(n, 1000)), "train": new_patients(generator, N_TRAIN)}
    held_out = {
        name: Near(*({part: pair[place][name] for part, pair in near.items()} for place in (0, 1)))
        for name in DETECTORS
    }
    kind = {"zoom": np.float32(1), "shift": np.zeros(2, np.float32)}
    for name, size in (("synthetic", n), ("calibration", N_HELD_OUT), ("control", N_HELD_OUT)):
        kind |= {f"{name}_orientation": np.zeros(size, int), f"{name}_sorted": np.full(size, -1)}
        kind[f"{name}_score"] = generator.normal(size=size)
    nobody = np.full(n, -1)
    found = Evidence(found, splits, nobody, sources, kinds, held_out, kind, np.arange(n), np.zeros(n, bool))
    return found, len(set(source) - {-1})


def policy() -> dict:
    """An audit's default policy."""
    entry = {"training": "a", "synthetic": {"dataset": "b"}, "detectors": list(DETECTORS)}
    schema.validate(entry, "an audit", ("properties", "audits", "additionalProperties"))
    return entry["policy"] | {"detectors": list(DETECTORS), "seed": 0}


def main(draws: int) -> None:
    rules, rows = policy(), []
    for number, (cell, (n, share, more_alike)) in enumerate(CELLS.items()):
        verdicts, covered, exposed_covered, control = [], [], [], []
        for draw in range(draws):
            generator = np.random.default_rng([number, draw])
            findings, exposed = evidence(generator, n, share, more_alike, rules["transforms"])
            verdict = judge(findings, rules, None)
            verdicts.append(verdict["verdict"])
            lines = {line["name"]: line for line in verdict["lines"]}
            covered.append(lines["copies"]["low"] <= share <= lines["copies"]["high"])
            exposed_covered.append(lines["patients"]["low"] <= exposed / N_TRAIN <= lines["patients"]["high"])
            control.append(verdict["detectors"][-1]["control_rate"])
        row = {"cell": cell, "samples": n, "draws": draws}
        row |= {
            word: round(np.mean([each == word for each in verdicts]), 3) for word in ("PASS", "FAIL", "NOT ABLE TO SAY")
        }
        row |= {"copies_covered": round(np.mean(covered), 3), "patients_covered": round(np.mean(exposed_covered), 3)}
        rows.append(row | {"control_rate": round(np.mean(control), 4)})
        print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
