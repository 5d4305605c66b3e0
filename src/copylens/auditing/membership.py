"""Membership inference: a diffusion model's loss is lower on images that it was trained on.

Yeom et al. 2018, arXiv 1709.01604; for diffusion models Matsumoto et al. 2023, arXiv 2302.03262. V are the calibration
images, H the control images: both are of patients who weren't trained on.
"""

from pathlib import Path

import numpy as np

from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.evaluation.areas import FALSE_POSITIVES as RATES
from copylens.evaluation.areas import area_and_found
from copylens.jobs.files import read_array, read_table, write_arrays
from copylens.jobs.seeds import generator_of

NOISE_LEVELS = 10
DRAWS = 500  # of the bootstrap over patients
FALSE_POSITIVES = RATES[0]  # false positive rate at which the share of members found is given


def measure_losses(images_path: Path, splits_path: Path, folder: Path, upstream: Path, seed: int, path: Path) -> None:
    """Write for `train` and `held_out` (V then H) the denoising losses, float32 [image, noise level], and patients."""
    # Imported here, because the verdict needs no neural network.
    from copylens.generation.load import load_model
    from copylens.training.tensors import as_batch

    splits, images = read_table(splits_path), read_array(images_path)
    module = load_model(folder, upstream)
    family, timesteps = implementation("models", module.settings["kind"]), module.settings["timesteps"]
    steps = np.linspace(0, timesteps, NOISE_LEVELS + 1)[1:].round().astype(int) - 1
    sets = {
        "train": rows_of(splits, "train"),
        "held_out": np.concatenate([rows_of(splits, role) for role in ("calibration", "control")]),
    }
    number_of = np.unique(splits["patient"], return_inverse=True)[1]
    arrays = {}
    for name, rows in sets.items():
        losses = family.losses_by_noise(module, as_batch(images[rows]), steps.tolist(), seed)
        arrays[name], arrays[f"{name}_patient"] = losses.numpy(), number_of[rows]
    write_arrays(arrays, path)


def membership(losses: dict[str, np.ndarray], level: float, seed: int) -> dict[str, float]:
    """How well losses separate members from others: auc and tpr_at_1fpr, with _low and _high, n_members, n_others.

    Each noise level's losses count in units of their mean, so that no level drowns the others. Intervals resample
    patients.
    """
    everything = np.concatenate([losses["train"], losses["held_out"]])
    score = -(everything / everything.mean(axis=0)).mean(axis=1)
    member = np.arange(len(everything)) < len(losses["train"])
    patient = np.concatenate([losses["train_patient"], losses["held_out_patient"]])
    number_of = np.unique(patient, return_inverse=True)[1]
    generator, n = generator_of("membership intervals", seed), number_of.max() + 1
    draws = []
    for _ in range(DRAWS):
        times = np.bincount(generator.integers(n, size=n), minlength=n)[number_of]
        if times[member].any() and times[~member].any():
            draws.append(area_and_found(member, score, times)[:2])
    tail = 50 * (1 - level)
    values = area_and_found(member, score, np.ones(len(score)))[:2]
    row: dict[str, float] = {"n_members": int(member.sum()), "n_others": int((~member).sum())}
    for name, value, drawn in zip(("auc", "tpr_at_1fpr"), values, np.transpose(draws), strict=True):
        low, high = np.percentile(drawn, [tail, 100 - tail])
        row |= {name: value, f"{name}_low": min(value, float(low)), f"{name}_high": max(value, float(high))}
    return row
