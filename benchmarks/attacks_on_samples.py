"""The verdict's lines about what samples tell besides copies, where the truth is known: how often each of them errs.

    .venv/bin/python benchmarks/attacks_on_samples.py 50 ../shared/data/nih_chestxray ../shared/data/msd_hippocampus

Arguments: runs of each row, a folder of NIH ChestX-ray14 with one or more images of each patient, and one of
hippocampus MR. Runs the audit's own measurement and lines. Writes benchmarks/attacks_on_samples.tsv, a row for each
kind of images and of generator:

- drawn: smooth noise of 32 x 32 pixels, blurred by 2 pixels; 200 training, 100 calibration and 100 control patients,
  1,000 samples. In `correlated` each sample correlates by 0.15 with one training image.
- chest: NIH, 64 x 64, 120, 90 and 90 patients in a new draw for each run, 180 samples. In `mixed`
  each sample is the mean of a training image and of an image of somebody else, in `copies` a tenth repeat training
  images, `copycat` repeats nothing else. `gamma`, `blur`, `elsewhere`: a generator that never saw the training patients
  draws images of their scanner, and the held-out patients come from another one (gamma 1.3; blurred by a pixel; slices
  of MR volumes).
- large: drawn at 64 x 64, 1,000 training, 500 and 500 other patients, 1,000 samples, once, for the seconds.

Columns: auc, the mean area under the curve on control images; above, the share of runs whose interval lies above 0.5;
covers, the share whose interval holds it; tpr_at_1fpr. For each line, the shares of runs that fail and are unable. For
linkability and inference, the mean residual risk and the share of runs whose interval holds 0. other_kind: the share in
which training and held-out patients differ without a sample; seconds of a run.
"""

import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import PIL.Image
from scipy import ndimage

from copylens.auditing import risks
from copylens.auditing.attacks import measure_attacks
from copylens.auditing.disclosure import disclose
from copylens.auditing.evidence import Evidence
from copylens.config import schema
from copylens.jobs.files import read_arrays, write_array, write_table

LEVEL = 0.95
DRAWN = {"train": 200, "calibration": 100, "control": 100}
LARGE = {"train": 1000, "calibration": 500, "control": 500}
CHEST = {"train": 120, "calibration": 90, "control": 90}
CORRELATION, BLUR, SAMPLES = 0.15, 2.0, 1000
RESULT = Path(__file__).with_suffix(".tsv")
ROWS = (
    *(("drawn", leak) for leak in ("never saw them", "correlated")),
    *(("chest", leak) for leak in ("never saw them", "copies", "mixed", "copycat", "gamma", "blur", "elsewhere")),
)
SCANNER = {"gamma": lambda images: images**1.3, "blur": lambda images: ndimage.gaussian_filter(images, (0, 1, 1))}


def drawn(seed: int, leak: str, n: dict[str, int], side: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images of T, V and H, and samples, in [0, 1]."""
    generator = np.random.default_rng(seed)

    def images(n: int) -> np.ndarray:
        smooth = ndimage.gaussian_filter(generator.normal(size=(n, side, side)), (0, BLUR, BLUR), mode="wrap")
        return smooth / smooth.std(axis=(1, 2), keepdims=True)

    sets = {name: images(size) for name, size in n.items()}
    samples = images(SAMPLES)
    if leak == "correlated":
        near = sets["train"][np.arange(SAMPLES) % n["train"]]
        samples = CORRELATION * near + np.sqrt(1 - CORRELATION**2) * samples
    return {name: ((some + 6) / 12).clip(0, 1) for name, some in sets.items()}, ((samples + 6) / 12).clip(0, 1)


def chest(images: np.ndarray, slices: np.ndarray, seed: int, leak: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same of NIH patients, drawn without replacement."""
    generator, sets, start = np.random.default_rng(seed), {}, 0
    order = generator.permutation(len(images))
    for name, n in CHEST.items():
        sets[name] = images[order[start : start + n]]
        start += n
    samples = images[order[start:]]
    training = sets["train"][np.arange(len(samples)) % CHEST["train"]]
    if leak == "mixed":
        samples = (samples + training) / 2
    elif leak == "copies":
        samples = np.concatenate([training[: len(samples) // 10], samples[len(samples) // 10 :]])
    elif leak == "copycat":
        samples = training
    elif leak in SCANNER:
        sets |= {name: SCANNER[leak](sets[name]) for name in ("calibration", "control")}
    elif leak == "elsewhere":
        others = slices[generator.permutation(len(slices))]
        half = len(others) // 2
        sets |= {"calibration": others[:half], "control": others[half:]}
    return sets, samples


def run(sets: dict[str, np.ndarray], samples: np.ndarray, seed: int, policy: dict) -> dict[str, float]:
    start = time.perf_counter()
    roles = np.repeat(list(sets), [len(images) for images in sets.values()])
    splits = pd.DataFrame({"patient": [f"p{row:05d}" for row in range(len(roles))], "role": roles})
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / file for file in ("images.npy", "splits.tsv", "synthetic.npy", "attacks.npz")]
        write_array(np.concatenate(list(sets.values())).astype(np.float32), files[0])
        write_table(splits, files[1])
        write_array(samples.astype(np.float32), files[2])
        measure_attacks(*files)
        attacks = read_arrays(files[3])
    nothing = np.empty(0)
    evidence = Evidence({}, splits, nothing, pd.DataFrame(), [], {}, {}, attacks, np.arange(len(samples)), nothing)
    found = disclose(evidence, np.ones(len(samples), bool), LEVEL, seed)
    row = {"seconds": time.perf_counter() - start}
    assert found.membership and found.linkability and found.inference
    low, high = found.membership["auc_low"], found.membership["auc_high"]
    row |= {"auc": found.membership["auc"], "above": low > 0.5, "covers": low <= 0.5 <= high}
    row |= {"tpr_at_1fpr": found.membership["tpr_at_1fpr"], "other_kind": risks.other_kind(found)}
    for line in (of_samples(found, policy) for of_samples in risks.OF_SAMPLES):
        row |= {f"{line.name}_{outcome}": line.outcome == outcome for outcome in ("fail", "unable")}
    for name, risk in (("linkability", found.linkability), ("inference", found.inference)):
        row |= {f"{name}_residual": risk.residual[0], f"{name}_holds_0": risk.residual[1] <= 0}
    return row


def of_patients(data: Path) -> np.ndarray:
    """The first image of each patient, float [patient, 64, 64] in [0, 1]."""
    first: dict[str, Path] = {}
    for path in sorted(data.rglob("*.png")):
        first.setdefault(path.name.split("_")[0], path)
    small = [PIL.Image.open(path).convert("L").resize((64, 64), PIL.Image.Resampling.BOX) for path in first.values()]
    return scaled(np.stack([np.asarray(image, np.float32) for image in small]))


def of_volumes(data: Path) -> np.ndarray:
    """The middle slice of each volume, the same size."""
    slices = []
    for path in sorted(data.rglob("*.nii.gz")):
        volume = np.asarray(nibabel.load(path).dataobj, np.float32)
        middle = PIL.Image.fromarray(volume[:, volume.shape[1] // 2])
        slices.append(np.asarray(middle.resize((64, 64), PIL.Image.Resampling.BILINEAR)))
    return scaled(np.stack(slices))


def scaled(images: np.ndarray) -> np.ndarray:
    images = images - images.min(axis=(1, 2), keepdims=True)
    return images / images.max(axis=(1, 2), keepdims=True)


def main(n: int, chests: Path, volumes: Path) -> None:
    images, slices, rows = of_patients(chests), of_volumes(volumes), []
    entry: dict = {"training": "a", "synthetic": {"dataset": "b"}, "detectors": ["a", "b", "c"]}
    schema.validate(entry, "an audit", ("properties", "audits", "additionalProperties"))
    for kind, leak in (*ROWS, ("large", "never saw them")):
        runs = 1 if kind == "large" else n
        size = (LARGE, 64) if kind == "large" else (DRAWN, 32)
        made = (
            chest(images, slices, seed, leak) if kind == "chest" else drawn(seed, leak, *size) for seed in range(runs)
        )
        found = pd.DataFrame([run(*one, seed, entry["policy"]) for seed, one in enumerate(made)]).astype(float).mean()
        rows.append({"images": kind, "generator": leak, "runs": runs, **found.round(3)})
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(RESULT, sep="\t", index=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:]))
