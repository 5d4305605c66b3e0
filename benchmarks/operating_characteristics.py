"""How often an audit's verdict errs: the real verdict on simulated findings whose truth is known.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/operating_characteristics.py 200 2

Arguments: draws a cell, processes, and the audit's rule (`copylens.auditing.rules`): agreement unless combined is
named. Where one of a cell's coverages is below 93 %, which so few draws give by chance as well, four times as many
others take their place.

Three detectors score the images of all patients; 100 copies of each of the policy's nine kinds are planted.
Similarities of new patients are normal; those of different detectors have a common part, and a patient's images too.
The more alike a new patient is to a training patient, the more often all detectors name the same one: two of them agree
by chance on about 1 % of new patients, or, where patients are alike, on 3 %. Copies are more alike by six deviations.
In the attacks' space a copy correlates 0.9 with its training image.

Cells differ from the middle one (200 training, 120 calibration and 120 control patients with one image each, 300
samples) in one thing each, at several true shares of copies: the policy's limit of 5 %, half of it, twice it and more.

Writes benchmarks/operating_characteristics.tsv, or operating_characteristics_combined.tsv, a row per cell: shares of
draws that PASS, FAIL and are NOT ABLE TO SAY; how often the intervals of copies, of patients exposed and of the area
under the membership test's curve hold the truth (the area's where nobody is copied: 0.5), and that of the false
positive rate; of quarantines: the share of samples left, the share of draws whose rest PASSes, and the most copies left
in one that did; flips: the share of draws whose verdict other calibration patients change; jaccard: the mean overlap of
the lists of withheld samples with those of other calibration patients. Where only one detector sees the copies the
intervals needn't hold the truth: agreement asks for two.
"""

import itertools
import sys
from dataclasses import dataclass, replace
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.consistency import halvings
from copylens.auditing.evidence import Evidence
from copylens.auditing.findings import Findings, Near
from copylens.auditing.verdict import judge
from copylens.auditing.withhold import withheld_samples
from copylens.config import schema

DETECTORS = ("first", "second", "third")
N_PLANTED, COMPONENTS = 100, 64
COMMON = 0.6  # of the detectors' correlation on new patients
SAME_PATIENT = 0.7  # correlation of a patient's images
COPY = 6.0  # deviations by which a copy is more alike
BARELY = 3.3  # the same of copies that the usual threshold finds in 95 %
FOUND_LEAST = 0.9  # of the kind that is found least
LIKENESS = {"usual": 0.35, "alike": 1.0}  # of new patients of whom all detectors name the same one, at most
AGAIN_BELOW = 0.93
WORDS = ("PASS", "FAIL", "NOT ABLE TO SAY")
RESULT = Path(__file__).with_suffix(".tsv")


@dataclass(frozen=True)
class Cell:
    """One kind of audit; seen: deviations by which copies are more alike to each detector, or the least-found kind."""

    copies: float
    train: int = 200
    held_out: int = 120  # patients of V, and of H
    samples: int = 300
    images: int = 1  # of each patient
    likeness: str = "usual"
    seen: tuple | str = (COPY,) * 3

    @property
    def seen_by_one(self) -> bool:
        """Whether one detector alone sees the copies."""
        return self.seen != "least" and sum(more > 0 for more in self.seen) == 1


SHARES = (0.0, 0.025, 0.05, 0.1, 0.2, 1.0)
VARIED = (
    {},
    {"train": 70, "held_out": 70, "samples": 100},
    {"train": 60, "held_out": 60, "samples": 1000},
    {"train": 1000, "held_out": 300, "samples": 300},
    {"samples": 1000},
    {"images": 3},
    {"likeness": "alike"},
)
CELLS = (
    *(Cell(share, **varied) for varied, share in itertools.product(VARIED, SHARES)),
    *(Cell(share, seen=(more, 0, 0)) for share in (0.1, 0.2) for more in (COPY, BARELY)),
    *(Cell(share, seen="least") for share in (0.05, 0.08)),
    Cell(0.3, seen=(COPY, COPY, 0)),
)


def new_patients(
    generator: np.random.Generator, cell: Cell, n: int, images: int = 1
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Similarity and nearest patient of `images` images of each of `n` new patients, by detector."""
    of_patient, of_image = generator.normal(size=n).repeat(images), generator.normal(size=n * images)
    common = of_image if images == 1 else SAME_PATIENT**0.5 * of_patient + (1 - SAME_PATIENT) ** 0.5 * of_image
    somebody = generator.integers(cell.train, size=n).repeat(images)
    same = generator.random(n * images) < LIKENESS[cell.likeness] / (1 + np.exp(-2 * (common - 1)))
    similarity, patient = {}, {}
    for name in DETECTORS:
        similarity[name] = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * generator.normal(size=n * images)
        patient[name] = np.where(same, somebody, generator.integers(cell.train, size=n * images))
    return similarity, patient


def found_in(generator: np.random.Generator, cell: Cell, source: np.ndarray, more_alike: np.ndarray) -> tuple:
    """The same of images that are copies of `source` (-1: no copy), more alike by [detector, image]."""
    similarity, patient = new_patients(generator, cell, len(source))
    for number, name in enumerate(DETECTORS):
        sees = (source >= 0) & (more_alike[number] > 0)
        similarity[name] = similarity[name] + np.where(sees, more_alike[number], 0)
        patient[name] = np.where(sees, source, patient[name])
    return similarity, patient


def evidence(generator: np.random.Generator, cell: Cell, kinds: list[str]) -> tuple[Evidence, np.ndarray]:
    """Findings, and the patient whom each sample copies, -1 for none, int [S]."""
    n = cell.samples
    source = np.where(np.arange(n) < round(cell.copies * n), generator.permutation(n) % cell.train, -1)
    alike = np.tile(np.array([COPY] * 3 if cell.seen == "least" else cell.seen)[:, None], n).astype(float)
    if cell.seen == "least":
        # The kind that is found least is missed by all detectors alike.
        alike *= generator.random(n) < FOUND_LEAST
    sets = {"synthetic": found_in(generator, cell, source, alike)}
    sets |= {name: new_patients(generator, cell, cell.held_out, cell.images) for name in ("calibration", "control")}
    n_planted = min(N_PLANTED, cell.train, cell.held_out)
    of_planted = np.concatenate([np.arange(n_planted), np.full(n_planted, -1)])
    planted = []
    for number in range(len(kinds)):
        seen = np.full((3, 2 * n_planted), COPY) * (
            generator.random(2 * n_planted) < (FOUND_LEAST if number == 1 else 1)
        )
        planted.append(found_in(generator, cell, of_planted, seen))
    sets["planted"] = tuple(
        {name: np.concatenate([part[place][name] for part in planted]) for name in DETECTORS} for place in (0, 1)
    )
    empty = ({name: np.empty(0) for name in DETECTORS}, {name: np.empty(0, int) for name in DETECTORS})
    sets |= {"calibration_decoded": empty, "control_decoded": empty}
    found = {
        name: Findings(*({part: pair[place][name] for part, pair in sets.items()} for place in (0, 1)))
        for name in DETECTORS
    }
    sizes = {"train": cell.train, "calibration": cell.held_out, "control": cell.held_out}
    roles = np.repeat(list(sizes), [cell.images * size for size in sizes.values()])
    patients = np.arange(sum(sizes.values())).repeat(cell.images)
    splits = pd.DataFrame({"patient": [f"patient_{number:05d}" for number in patients], "role": roles})
    first, last = splits["patient"].unique()[:n_planted], splits["patient"].unique()[-n_planted:]
    sources = pd.DataFrame({"patient": [*first, *last], "role": ["train"] * n_planted + ["control"] * n_planted})
    near = {name: new_patients(generator, cell, size) for name, size in (("synthetic", n), ("train", 100))}
    held_out = {
        name: Near(*({part: pair[place][name] for part, pair in near.items()} for place in (0, 1)))
        for name in DETECTORS
    }
    n_images = {"synthetic": n} | {name: cell.images * cell.held_out for name in ("calibration", "control")}
    kind = {"zoom": np.float32(1), "shift": np.zeros(2, np.float32)}
    for name, size in n_images.items():
        kind |= {f"{name}_orientation": np.zeros(size, int), f"{name}_sorted": np.full(size, -1)}
        kind[f"{name}_score"] = generator.normal(size=size)
    told = attacks(generator, {"train": cell.images * cell.train, **n_images}, source, cell.images)
    nobody, group = np.full(n, -1), np.arange(n)
    return Evidence(found, splits, nobody, sources, kinds, held_out, kind, told, group, np.zeros(n, bool)), source


def attacks(generator: np.random.Generator, n: dict[str, int], source: np.ndarray, images: int) -> dict:
    """What attacks need: copies are near the first image of their patient in the whitened space."""
    told = {}
    for part in ("whole", "first", "second"):
        for name, size in n.items():
            told[f"{name}_{part}"] = generator.normal(size=(size, COMPONENTS)).astype(np.float32)
        copied = told[f"train_{part}"][images * np.maximum(source, 0)]
        new = told[f"synthetic_{part}"]
        told[f"synthetic_{part}"] = np.where(source[:, None] >= 0, 0.9 * copied + 0.19**0.5 * new, new)
    for name in ("train", "control"):
        told[f"{name}_unseen"] = generator.normal(size=n[name])
    told["train_shift"] = generator.normal(size=n["train"])
    return told | {"held_out_shift": generator.normal(size=n["calibration"] + n["control"])}


def policy() -> dict:
    """An audit's default policy."""
    entry: dict = {"training": "a", "synthetic": {"dataset": "b"}, "detectors": list(DETECTORS)}
    schema.validate(entry, "an audit", ("properties", "audits", "additionalProperties"))
    return entry["policy"] | {"detectors": list(DETECTORS), "seed": 0}


def judged(number: int, draw: int, rule: str = "agreement") -> dict:
    """One draw of a cell, judged by a rule."""
    cell, rules, generator = CELLS[number], policy(), np.random.default_rng([number, draw])
    found, source = evidence(generator, cell, rules["transforms"])
    found = replace(found, rule=rule)
    verdict = judge(found, rules | {"seed": draw}, None)
    lines = {line["name"]: line for line in verdict["lines"]}
    rates, rest, member = verdict["detectors"][-1], verdict["quarantine"], verdict["disclosure"]["membership"]
    exposed = len(set(source) - {-1}) / cell.train
    row = {word: verdict["verdict"] == word for word in WORDS}
    row["copies_covered"] = lines["copies"]["low"] <= (source >= 0).mean() <= lines["copies"]["high"]
    row["patients_covered"] = lines["patients"]["low"] <= exposed <= lines["patients"]["high"]
    row["auc_covered"] = member["auc_low"] <= 0.5 <= member["auc_high"] if cell.copies == 0 else np.nan
    expected = expected_control_rate(cell, rules, found)
    row["control_covered"] = rates["control_rate_low"] <= expected <= rates["control_rate_high"]
    row["control_rate"] = rates["control_rate"]
    row["left"] = row["rest_passes"] = row["copies_left"] = np.nan
    if rest:
        row["left"], row["rest_passes"] = rest["released"] / cell.samples, rest["verdict"] == "PASS"
        withheld = withheld_samples(found, rest["percentile"], rest["detectors"])
        if row["rest_passes"]:
            row["copies_left"] = (source[~withheld] >= 0).mean()
    percentile, by = (rest["percentile"], rest["detectors"]) if rest else (95, [DETECTORS[0]])
    lists = [withheld_samples(each, percentile, by) for each in (found, *halvings(found, draw + 1))]
    overlaps = [(lists[0] & other).sum() / max((lists[0] | other).sum(), 1) for other in lists[1:]]
    row["jaccard"] = np.mean(overlaps) if lists[0].any() else np.nan
    swapped = next(iter(halvings(found, draw + 2)))
    row["flips"] = judge(swapped, rules | {"seed": draw}, None)["verdict"] != verdict["verdict"]
    return row


def expected_control_rate(cell: Cell, rules: dict, found: Evidence) -> float:
    """The rule's false positive rate on many more new patients."""
    many = new_patients(np.random.default_rng(99), cell, 20_000)
    detectors = {}
    for name, each in found.detectors.items():
        similarity = each.similarity | {"control": many[0][name]}
        detectors[name] = Findings(similarity, each.patient | {"control": many[1][name]})
    return float(replace(found, detectors=detectors).copies("control").mean())


def row_of(pool: Pool, number: int, draws: range, rule: str) -> dict:
    """A cell's row of the table."""
    found = pd.DataFrame(pool.starmap(judged, [(number, draw, rule) for draw in draws])).astype(float)
    row = {name: getattr(CELLS[number], name) for name in Cell.__dataclass_fields__} | {"draws": len(draws)}
    row |= found.drop(columns="copies_left").mean().round(4).to_dict()
    return row | {"most_copies_left": found["copies_left"].max()}


def main(draws: int, processes: int, rule: str = "agreement") -> None:
    rows, path = [], RESULT if rule == "agreement" else RESULT.with_stem(f"{RESULT.stem}_{rule}")
    with Pool(processes) as pool:
        for number in range(len(CELLS)):
            row = row_of(pool, number, range(draws), rule)
            lowest = min(value for name, value in row.items() if name.endswith("covered"))
            if lowest < AGAIN_BELOW and not CELLS[number].seen_by_one:
                row = row_of(pool, number, range(draws, 5 * draws), rule)
            rows.append(row)
            print({key: row[key] for key in ("copies", *WORDS, "copies_covered", "flips", "jaccard")}, flush=True)
            pd.DataFrame(rows).to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
