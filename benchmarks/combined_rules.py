"""Copies that several detectors find together, by each rule: planted families of changes on NIH chest X-rays.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/combined_rules.py IMAGES CACHE SPLIT...

Arguments: the folder of the NIH's PNG images, of which each patient's first is taken (64 x 64); a folder where
similarities are kept, so that rules can be tried again in seconds; and numbers of splits of the patients. A split has
200 training, 140 calibration and 140 control patients. 30 training images are planted under each family of changes at
severity 0.5, and 15 control images under the same. As V and H are few, they are halved 30 times anew. Writes
benchmarks/combined_rules.tsv: for each split, set of detectors and rule the mean over halves of the shares, in per
cent, of planted copies found (mean over families), of these with the patient named, of control images called as they
are (with the standard deviation over halves), and of control images called under the families. Each detector names its
nearest patient, as in audits.

Rules: each detector alone and two that agree, at thresholds that 5 % of V pass; combined by Fisher (sum of -log p) and
half-Cauchy, at 5 %; each detector and half-Cauchy at the threshold that 1 % of V pass by the tail.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

from copylens.auditing.rules import agreeing
from copylens.config.schema import validate
from copylens.detection.embed import Embedder
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.evaluation import families
from copylens.evaluation.combination import Candidates, combine_sets, half_cauchy
from copylens.evaluation.thresholds import tail_threshold
from copylens.jobs.files import write_array, write_table
from copylens.jobs.workdir import Unfinished

SIZES, SIDE = (200, 140, 140), 64
N_PLANTED, N_CONTROL, SEVERITY = 30, 15, 0.5
HALVES = 30
DETECTORS = ("copylens", "aligned_correlation", "pixel_l2_ratio")
TOGETHER = (DETECTORS, *combinations(DETECTORS, 2))


def images_of(folder: Path) -> torch.Tensor:
    """Each patient's first image [patient, 1, H, W], in the order of the patients' numbers."""
    first: dict[str, Path] = {}
    for path in sorted(folder.glob("**/*.png")):
        first.setdefault(path.name.split("_")[0], path)
    arrays = []
    for path in first.values():
        image = torch.from_numpy(np.asarray(Image.open(path).convert("L"), np.float32) / 255)
        small = functional.interpolate(image[None, None], size=(SIDE, SIDE), mode="area")[0]
        arrays.append((small - small.min()) / (small.max() - small.min()))
    return torch.stack(arrays)


def compared(kind: str, sets: dict[str, torch.Tensor], training: torch.Tensor, folder: Path) -> dict[str, Candidates]:
    """One detector's candidates for the images of each set, kept in a folder."""
    settings: dict = {"kind": kind}
    validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
    k, paths = settings.pop("neighbours"), {name: folder / f"{kind}.{name}.npz" for name in sets}
    if not all(path.exists() for path in paths.values()):
        array = training[:, 0].numpy()
        write_array(array, folder / "images.npy")
        scans = {"scan": range(len(array)), "patient": range(len(array)), "role": "train"}
        write_table(pd.DataFrame(scans), folder / "splits.tsv")
        files = {"images": folder / "images.npy", "splits": folder / "splits.tsv"}
        train_detector(settings, files, folder / kind, Unfinished(folder / "work"))
        embed = Embedder(folder / kind)
        comparer = Comparer(folder / kind, all_of(array, embed(array)))
        for name, images in sets.items():
            queries = images[:, 0].numpy()
            similarity, position = comparer.nearest(all_of(queries, embed(queries)), k)
            np.savez(paths[name], similarity=similarity, position=position)
            print(kind, name, flush=True)
    found = {}
    for name, path in paths.items():
        with np.load(path) as arrays:
            found[name] = Candidates(arrays["similarity"], arrays["position"])
    return found


def planted(training: torch.Tensor, calibration: torch.Tensor, control: torch.Tensor) -> dict[str, torch.Tensor]:
    """Training images, then control images, under each family."""
    images = torch.cat([training[:N_PLANTED], control[:N_CONTROL]])
    partners = torch.cat([control[N_CONTROL : N_CONTROL + N_PLANTED], calibration[-N_CONTROL:]])
    changed = {}
    for family in families.FAMILIES:
        generator = torch.Generator().manual_seed(1000 + len(family) + sum(map(ord, family)))
        changed[family] = families.apply(family, SEVERITY, images, partners, generator)
    return changed


def fisher(surprises: np.ndarray) -> np.ndarray:
    return surprises.sum(axis=0)


def rules_of(found: dict[str, dict[str, Candidates]]) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """(called, patient) of each set's images by each rule."""
    names = list(next(iter(found.values())))
    first = {
        kind: {name: (each.similarity[:, 0], each.patient[:, 0]) for name, each in sets.items()}
        for kind, sets in found.items()
    }
    rules = {}
    for kind, sets in first.items():
        for rate, tau in ((5, np.percentile(sets["V"][0], 95)), (1, tail_threshold(sets["V"][0], 0.01))):
            rules[f"{kind}, {rate} %"] = {name: (value > tau, patient) for name, (value, patient) in sets.items()}
    two = {}
    for name in names:
        patients = [sets[name][1] for sets in first.values()]
        position = agreeing([rules[f"{kind}, 5 %"][name][0] for kind in first], patients)
        two[name] = position >= 0, np.stack(patients)[position, np.arange(len(position))]
    rules["two agree"] = two
    sets = {name: [found[kind][name] for kind in found] for name in names}
    sets["calibration"] = sets["V"]
    sets["calibration_decoded"] = [each.of(np.zeros(len(each), bool)) for each in sets["V"]]
    for statistic in (fisher, half_cauchy):
        combined = combine_sets(sets, np.arange(SIZES[1]), statistic)
        null = combined["calibration"][0]
        for rate, tau in ((5, np.percentile(null, 95)), (1, tail_threshold(null, 0.01))):
            rules[f"{statistic.__name__}, {rate} %"] = {
                name: (combined[name][0] > tau, combined[name][1]) for name in names
            }
    return rules


def shares_of(sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Shares, in per cent, that a rule calls."""
    under, copied = [sets[family] for family in families.FAMILIES], np.arange(N_PLANTED)
    shares = {
        "found": np.mean([called[:N_PLANTED] for called, _ in under]),
        "found_and_named": np.mean([called[:N_PLANTED] & (who[:N_PLANTED] == copied) for called, who in under]),
        "control_rate": sets["H"][0].mean(),
        "control_rate_under_families": np.mean([called[N_PLANTED:] for called, _ in under]),
    }
    return {name: 100 * float(share) for name, share in shares.items()}


def halved(found: dict[str, dict[str, Candidates]], generator: np.random.Generator) -> dict[str, dict[str, Candidates]]:
    """The nearest candidates of each set, with other images as V and H."""
    order = generator.permutation(SIZES[1] + SIZES[2])
    halves = {}
    for kind, sets in found.items():
        both = Candidates(
            *(np.concatenate([getattr(sets[name], part)[:, :1] for name in "VH"]) for part in ("similarity", "patient"))
        )
        nearest_ones = {name: Candidates(each.similarity[:, :1], each.patient[:, :1]) for name, each in sets.items()}
        halves[kind] = nearest_ones | {"V": both.of(order[: SIZES[1]]), "H": both.of(order[SIZES[1] :])}
    return halves


def rows_of(split: int, found: dict[str, dict[str, Candidates]]) -> list[dict]:
    """A row for each rule."""
    generator, shares = np.random.default_rng(split), []
    for _ in range(HALVES):
        rules = rules_of(halved(found, generator))
        shares += [{"rule": rule, **shares_of(sets)} for rule, sets in rules.items()]
    by_rule = pd.DataFrame(shares).groupby("rule", sort=False)
    table = by_rule.mean().round(1).assign(control_rate_sd=by_rule["control_rate"].std().round(1))
    return [{"split": split, "detectors": "+".join(found), **row} for row in table.reset_index().to_dict("records")]


def main(images: str, cache: str, *splits: str) -> None:
    everybody, rows = images_of(Path(images)), []
    for split in map(int, splits):
        order = np.random.default_rng(split).permutation(len(everybody))[: sum(SIZES)]
        training, calibration, control = everybody[torch.from_numpy(order)].split(SIZES)
        folder = Path(cache, f"nih{split}")
        folder.mkdir(parents=True, exist_ok=True)
        sets = {"V": calibration, "H": control, **planted(training, calibration, control)}
        found = {kind: compared(kind, sets, training, folder) for kind in DETECTORS}
        for kinds in TOGETHER:
            rows += rows_of(split, {kind: found[kind] for kind in kinds})
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)
    print(table.groupby(["detectors", "rule"], sort=False).mean(numeric_only=True).round(1).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
