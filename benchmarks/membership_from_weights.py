"""How well attacks on weights find who was trained on, while a latent diffusion model is trained.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/membership_from_weights.py ../shared/data 2 3 4

Arguments: the folder with nih_chestxray and msd_hippocampus, and seeds of patients, networks and noises. An autoencoder
and a latent diffusion model are trained on 120 chest X-rays (32 x 32) or 60 hippocampi (16 x 16 x 16) of one patient
each; V and H are 180 or 70 others each. Writes benchmarks/membership_from_weights.tsv, a row per data set, seed and
epoch (0: untrained): of the mean loss over ten noise levels with one noise each (`mean_loss_`), and of the audit's
attack, which V chooses and H tests: the area under the curve, with its interval, and the shares of T found at 1 % and
5 % false positives.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from copylens.auditing.membership import membership, steps_of
from copylens.config import checks, spec
from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.evaluation.membership import separation
from copylens.evaluation.shift import grey_and_frequencies
from copylens.generation.load import load_model
from copylens.generation.models import latent_diffusion
from copylens.generation.train import train_model
from copylens.jobs.files import read_array, read_table, write_array, write_table
from copylens.jobs.workdir import Unfinished
from copylens.training.tensors import as_batch

SETS = ("train", "calibration", "control")
SIZES = {"chests": (120, 180, 180), "hippocampi": (60, 70, 70)}
SNAPSHOTS = [40, 80, 120, 200, 300]
DETECTORS = ["pixel_correlation", "pixel_l2_ratio", "ssim"]  # a configuration has some; none is used
CONFIG: dict = {
    "datasets": {
        "chests": {"reader": "nih_chestxray14", "root": "nih_chestxray", "grid": [32, 32]},
        "hippocampi": {
            **{"reader": "nifti_folder", "root": "msd_hippocampus/imagesTr", "grid": [16, 16, 16]},
            **{"patient": r"hippocampus_(\d+)", "scaling": {"kind": "percentile", "low": 0.5, "high": 99.5}},
        },
    },
    "models": {
        "autoencoder": {
            **{"kind": "autoencoder_kl", "channels": [16, 32, 32]},
            "training": {"steps": 300, "batch_size": 16, "learning_rate": 2.0e-3, "warmup_steps": 20},
        },
        "ldm": {
            **{"kind": "latent_diffusion", "autoencoder": {"model": "autoencoder"}, "channels": [32, 64]},
            **{"prediction": "v_prediction", "ema_decay": 0.98},
            "training": {
                **{"steps": 1400, "batch_size": 32, "learning_rate": 2.0e-3, "warmup_steps": 20},
                "snapshots": SNAPSHOTS,
            },
            "sampling": {"n_samples": 8, "steps": 30},
        },
    },
    "detectors": {name: {"kind": name} for name in DETECTORS},
    "audits": {
        name: {"training": name, "synthetic": {"model": "ldm"}, "detectors": DETECTORS}
        for name in ("chests", "hippocampi")
    },
}
RESULT = Path(__file__).with_suffix(".tsv")


def images_of(config: dict, name: str, seed: int, folder: Path) -> dict[str, np.ndarray]:
    """The images of T, V and H, one of each patient; also written, with their splits."""
    listing = spec.listing_settings(config, name)
    list_scans(listing, folder / "scans.tsv")
    gather_images(listing, spec.image_settings(config, name), folder / "scans.tsv", folder / "all.npy")
    table = read_table(folder / "scans.tsv").assign(row=lambda every: range(len(every))).drop_duplicates("patient")
    table = table.sample(frac=1, random_state=seed)[: sum(SIZES[name])].assign(role=np.repeat(SETS, SIZES[name]))
    images = np.asarray(read_array(folder / "all.npy"))[table["row"]]
    write_array(images, folder / "images.npy")
    write_table(table[["scan", "patient", "role"]], folder / "splits.tsv")
    return {role: images[(table["role"] == role).to_numpy()] for role in SETS}


def attacked(module, images: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """Both attacks on one state of a network."""
    timesteps = module.settings["timesteps"]
    steps = steps_of(timesteps)
    ten = [max(1, round(tenth / 10 * timesteps)) - 1 for tenth in range(1, 11)]
    ends = np.cumsum([len(of) for of in images.values()])
    patients = {name: np.arange(end - len(images[name]), end) for name, end in zip(images, ends, strict=True)}
    arrays, losses = {}, {}
    for name, of in images.items():
        errors = latent_diffusion.errors_by_noise(module, as_batch(of), steps, seed)
        arrays |= {f"{name}_{error}": values.numpy() for error, values in errors.items()}
        arrays |= {f"{name}_difficulty": grey_and_frequencies(of), f"{name}_patient": patients[name]}
        losses[name] = latent_diffusion.losses_by_noise(module, as_batch(of), ten, seed).numpy()
    mean = np.concatenate(list(losses.values())).mean(axis=0)
    score = {name: -(of / mean).mean(axis=1) for name, of in losses.items()}
    plain = separation(score["train"], score["control"], (patients["train"], patients["control"]), 0.95, seed)
    best = membership(arrays, 0.95, seed)
    row = {f"mean_loss_{name}": plain[name] for name in ("auc", "tpr_at_1fpr", "tpr_at_5fpr")}
    row |= {name: best[name] for name in ("auc", "auc_low", "auc_high", "tpr_at_1fpr", "tpr_at_5fpr")}
    return row | best["attack"]


def states(config: dict, name: str, seed: int, folder: Path, images: dict[str, np.ndarray]):
    """(epoch, network) of a training on T, from the untrained one to the last."""
    files = {"images": folder / "images.npy", "splits": folder / "splits.tsv"}
    for model in ("autoencoder", "ldm"):
        settings = spec.training_settings(config, model, "base")
        train_model(settings, seed, files, folder / model, Unfinished(folder / "work" / model))
        files["autoencoder"] = folder / "autoencoder"
    module = load_model(folder / "ldm", folder / "autoencoder")
    torch.manual_seed(seed)
    untrained = latent_diffusion.build(module.settings, list(images["train"].shape[1:]), module.autoencoder)
    untrained.scale_factor = module.scale_factor
    yield 0, untrained
    final = {key: of.clone() for key, of in module.weights().items()}
    kept = load_file(folder / "ldm" / "snapshots.safetensors")
    for epoch in SNAPSHOTS:
        prefix = f"{epoch}/"
        module.load_weights({key.removeprefix(prefix): of for key, of in kept.items() if key.startswith(prefix)})
        yield epoch, module
    module.load_weights(final)
    yield int(read_table(folder / "ldm" / "losses.csv")["epoch"].max()), module


def main(data: Path, seeds: list[int]) -> None:
    torch.set_num_threads(1)
    for name, sizes in SIZES.items():
        CONFIG["datasets"][name]["split"] = dict(zip(SETS, sizes, strict=True))
    config, rows = checks.check(CONFIG), []
    for entry in config["datasets"].values():
        entry["root"] = str(data / entry["root"])
    for seed, name in itertools.product(seeds, SIZES):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            images = images_of(config, name, seed, folder)
            for epoch, module in states(config, name, seed, folder, images):
                rows.append({"images": name, "seed": seed, "epoch": epoch, **attacked(module, images, seed)})
                print(rows[-1], flush=True)
                pd.DataFrame(rows).round(3).to_csv(RESULT, sep="\t", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), [int(seed) for seed in sys.argv[2:]])
