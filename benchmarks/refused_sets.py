"""Sets of samples that no audit may pass: real training images under transforms, and the verdict on each.

    COPYLENS_DATA=... python benchmarks/refused_sets.py configs/audit_nih.yaml unseen
    COPYLENS_DATA=... python benchmarks/refused_sets.py configs/audit_hippocampus.yaml unseen

Arguments: a configuration, and an audit in it whose data set has patients of no set. All sets are compared at once, and
each is judged by itself. Writes benchmarks/refused_sets_<data set>.tsv: set, samples, verdict, the lines that aren't
passed, and the reasons. The last sets are controls: new patients unchanged, blurred and noisy.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from copylens.auditing import nearest
from copylens.auditing.attacks import measure_attacks
from copylens.auditing.evidence import evidence_of
from copylens.auditing.kind import measure_kind
from copylens.auditing.pool import pool_images
from copylens.auditing.verdict import judge
from copylens.config import audit_spec, checks, spec
from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.data.splits import rows_of, split_patients, unseen_rows
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.train import train_detector
from copylens.evaluation.planted import plant_copies
from copylens.imaging.filters import smooth
from copylens.imaging.warps import warp
from copylens.jobs.files import read_array, read_arrays, read_table, write_array
from copylens.jobs.workdir import Unfinished

SETS_OF_SAMPLES = ("synthetic", "synthetic_to_held_out")


def moved(images: np.ndarray, kept=1.0, shift: float = 0.0) -> np.ndarray:
    """A share `kept` of the last axis, or of all, fills the image; shifted along the first axis."""
    dims = images.ndim - 1
    matrix = torch.diag(torch.tensor(kept)) if isinstance(kept, list) else kept * torch.eye(dims)
    shifts = torch.zeros(len(images), dims)
    shifts[:, -1] = shift
    return warp(torch.from_numpy(images)[:, None], matrix.repeat(len(images), 1, 1), shifts)[:, 0].numpy()


def reordered(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images[:, order])


def sets_of(trained: np.ndarray, calibration: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """Samples [n, *grid] by their transform."""
    dims, generator, half = trained.ndim - 1, np.random.default_rng(0), len(trained) // 2
    inverted, transposed = 1 - trained, np.ascontiguousarray(np.swapaxes(trained, 1, dims))

    def noisy(images: np.ndarray, deviation: float) -> np.ndarray:
        return (images + deviation * generator.normal(size=images.shape)).clip(0, 1).astype(np.float32)

    def among(copies: np.ndarray, share: float) -> np.ndarray:
        n = min(len(new), round(len(copies) * (1 - share) / share))
        return np.concatenate([copies[: round(n * share / (1 - share))], new[:n]])

    found = {
        "inverted": inverted,
        "60 inverted": inverted[:60],
        "60 inverted, five times": np.tile(inverted[:60], (5, *[1] * dims)),
        "half transposed, half inverted": np.concatenate([transposed[:half], inverted[half:]]),
        "transposed": transposed,
        "quarter turn": np.ascontiguousarray(np.rot90(trained, 1, (1, dims))),
        "mirrored along the last axis": np.ascontiguousarray(np.flip(trained, dims)),
        "mirrored along the first axis": np.ascontiguousarray(np.flip(trained, 1)),
        "mirrored along two axes": np.ascontiguousarray(np.flip(trained, (dims - 1, dims))),
        "zoomed in by 2": moved(trained, 0.5),
        "zoomed out by 2": moved(trained, 2.0),
        "shifted by 25 %": moved(trained, shift=0.25),
        "shifted by 40 %": moved(trained, shift=0.4),
        "calibration patients": calibration[:70],
        "calibration patients, a little noisy": noisy(calibration[:70], 0.01),
        "10 % squeezed to 0.7": among(moved(trained, [1.0] * (dims - 1) + [0.7]), 0.1),
        "20 % squeezed to 0.7": among(moved(trained, [1.0] * (dims - 1) + [0.7]), 0.2),
        "20 % under noise of 0.4": among(noisy(trained, 0.4), 0.2),
        "all under noise of 0.4": noisy(trained, 0.4),
    }
    if dims == 3:
        n = trained.shape[1]
        found |= {
            "mirrored along three axes": np.ascontiguousarray(np.flip(trained, (1, 2, 3))),
            "slices interleaved": reordered(trained, np.r_[np.arange(0, n, 2), np.arange(1, n, 2)]),
            "slices shuffled": reordered(trained, generator.permutation(n)),
        }
    width = [1.5 / 64 * size for size in new.shape[1:]]
    blurred = smooth(torch.from_numpy(new)[:, None], width)[:, 0].numpy()
    return found | {"new patients": new, "new patients, blurred": blurred, "new patients, noisy": noisy(new, 0.1)}


def main(config_path: str, audit: str) -> None:
    config = checks.load_config(Path(config_path))
    entry = config["audits"][audit]
    dataset, policy = entry["training"], audit_spec.policy(config, audit)
    nearest.SAMPLES = sys.maxsize
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, array, roles = folder / "scans.tsv", folder / "images.npy", folder / "splits.tsv"
        list_scans(spec.listing_settings(config, dataset), table)
        gather_images(spec.listing_settings(config, dataset), spec.image_settings(config, dataset), table, array)
        split_patients(spec.split_settings(config, dataset), table, roles)
        splits, images = read_table(roles), read_array(array)
        unseen = unseen_rows(splits)
        unseen = unseen[~splits["patient"].iloc[unseen].duplicated().to_numpy()]
        start = time.perf_counter()
        sets = sets_of(
            *(np.array(images[rows]) for rows in (*(rows_of(splits, r) for r in ("train", "calibration")), unseen))
        )
        rows = judged(config, sets, {"scans": table, "images": array, "splits": roles}, policy, entry, folder)
        print(f"{time.perf_counter() - start:.0f} s")
    pd.DataFrame(rows).to_csv(Path(__file__).with_name(f"refused_sets_{dataset}.tsv"), sep="\t", index=False)


def judged(config: dict, sets: dict, real: dict[str, Path], policy: dict, entry: dict, folder: Path) -> list[dict]:
    """A row for each set of samples."""
    data, planted = folder / "data", [folder / name for name in ("planted.npy", "sources.tsv", "transforms.tsv")]
    write_array(np.concatenate(list(sets.values())), folder / "all.npy")
    files = {f"training_{name}": path for name, path in real.items()} | {"synthetic": folder / "all.npy"}
    pool_images({"listing": {}, "seed": 0}, files, data)
    settings = entry["planted"] | {"transforms": policy["transforms"], "round_trip": None, "families": None}
    plant_copies(settings, data / "images.npy", data / "splits.tsv", [], *planted)
    paths = {name: data / f"{name}.npy" for name in ("images", "synthetic", "decoded")}
    paths |= {"splits": data / "splits.tsv", "planted": planted[0]}
    found = {}
    for name in entry["detectors"]:
        detector, started = folder / name, time.perf_counter()
        train_detector(spec.detector_settings(config, name), paths, detector, Unfinished(folder / "work"))
        paths["scans"] = detector / "scans.npy"
        embed_file(Embedder(detector), paths["images"], paths["scans"], Unfinished(folder / "embedding"))
        k = config["detectors"][name]["neighbours"]
        nearest.compare_audit(paths, detector, k, spec.search_settings(config, name), detector / "nearest.npz")
        found[name] = read_arrays(detector / "nearest.npz")
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    splits, samples, sources = (read_table(path) for path in (data / "splits.tsv", data / "samples.tsv", planted[1]))
    rows, end = [], 0
    for name, images in sets.items():
        start, end = end, end + len(images)
        write_array(images, folder / "one.npy")
        measure_kind(paths["images"], paths["splits"], folder / "one.npy", folder / "kind.npz")
        measure_attacks(paths["images"], paths["splits"], folder / "one.npy", folder / "attacks.npz")
        of_set = {
            detector: {
                key: value[start:end] if key.rpartition("_")[0] in SETS_OF_SAMPLES else value
                for key, value in arrays.items()
            }
            for detector, arrays in found.items()
        }
        measured = (read_arrays(folder / f"{part}.npz") for part in ("kind", "attacks"))
        evidence = evidence_of(of_set, splits, samples[start:end], sources, policy["transforms"], *measured)
        verdict = judge(replace(evidence, rule=policy["rule"]), policy, None)
        lines = {line["name"]: line for line in verdict["lines"]}
        failed = [f"{key} {line['outcome']}" for key, line in lines.items() if line["outcome"] != "pass"]
        row = {"set": name, "samples": len(images), "verdict": verdict["verdict"], "not_passed": ", ".join(failed)}
        for key in ("copies", "patients"):
            row |= {key: "{value:.3f} ({low:.3f} to {high:.3f})".format(**lines[key])}
        rows.append(row | {"reasons": " ".join(verdict["reasons"]), "kind": lines["kind"]["explanation"]})
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
