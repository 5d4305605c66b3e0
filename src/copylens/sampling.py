"""Draw images from a trained network, and measure what can be said of it without them. Knows no network by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.lib.format import open_memmap

from copylens.files import read_array, read_table, read_yaml, whole, write_array, write_table
from copylens.generators import as_batch, family_of, load_model
from copylens.job import timed
from copylens.networks import TrainedModule
from copylens.splits import rows_of

NOISE_LEVELS = 10  # at which the denoising loss is measured


def draw_samples(
    folder: Path,
    upstream: Path | None,
    sampling: dict,
    images_path: Path,
    splits_path: Path,
    samples_path: Path,
    reconstructed_path: Path,
    denoising_path: Path,
) -> None:
    """Draw S from every kept state of the network in `folder`, and say how well each denoises.

    samples: float32 [state, n_samples, *grid], in the order of the network's `epochs`. reconstructed: decode(encode(x))
    for x in V and H, float32 [V then H, *grid]; no rows for a network without an autoencoder. denoising: the losses of
    T and V by noise level, columns epoch, role, timestep, loss (mean), error (its standard error); no rows for a
    network that doesn't learn to denoise. ValueError if a sample holds NaN or infinity.
    """
    spec = read_yaml(folder / "spec.yaml")
    epochs, seed = spec["epochs"], spec["seed"]
    family = family_of(spec["settings"]["kind"])
    images, splits = read_array(images_path), read_table(splits_path)
    losses = [pd.DataFrame(columns=["epoch", "role", "timestep", "loss", "error"])]
    with whole(samples_path) as temporary:
        # One state at a time: all of them together may not fit into memory.
        shape = (len(epochs), sampling["n_samples"], *spec["grid"])
        states = open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for state, epoch in enumerate(epochs):
            module = load_model(folder, upstream, None if epoch == epochs[-1] else epoch)
            with timed("sampling"):
                samples = family.sample(module, sampling["n_samples"], seed, sampling)
            _refuse_broken(samples, samples_path)
            states[state] = samples[:, 0].numpy()
            if hasattr(family, "losses_by_noise"):
                train, calibration = read_table(folder / "training_rows.tsv")["row"], rows_of(splits, "calibration")
                sets = {"train": images[train], "calibration": images[calibration]}
                with timed("denoising"):
                    losses.append(denoising_losses(family, module, sets, seed).assign(epoch=epoch))
        states.flush()
        del states
    reconstructed = np.empty((0, *spec["grid"]), np.float32)
    if upstream:
        held_out = np.concatenate([rows_of(splits, "calibration"), rows_of(splits, "control")])
        with timed("reconstruction"):
            reconstructed = reconstruct(load_model(upstream), as_batch(images[held_out]))[:, 0].numpy()
    write_array(reconstructed, reconstructed_path)
    write_table(pd.concat(losses[1:] or losses, ignore_index=True), denoising_path)


def denoising_losses(family, module: TrainedModule, sets: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Mean denoising losses of each set of images [n, *grid], by timestep: columns role, timestep, loss, error.

    A network that has learnt its images rather than their kind denoises T better than V, before it is sampled.
    """
    last = module.settings["timesteps"]
    timesteps = sorted({int(last * (step + 0.5) / NOISE_LEVELS) for step in range(NOISE_LEVELS)})
    rows = []
    for role, images in sets.items():
        losses = family.losses_by_noise(module, as_batch(images), timesteps, seed).double()
        errors = losses.std(dim=0) / len(losses) ** 0.5
        rows += [
            {"role": role, "timestep": timestep, "loss": loss, "error": error}
            for timestep, loss, error in zip(timesteps, losses.mean(dim=0).tolist(), errors.tolist(), strict=True)
        ]
    return pd.DataFrame(rows)


@torch.no_grad()
def reconstruct(autoencoder: TrainedModule, images_BC: torch.Tensor) -> torch.Tensor:
    """decode(encode(images)), [B, 1, *grid]: what the decoder alone does to a real image."""
    chunks = images_BC.split(autoencoder.settings["training"]["batch_size"])
    return torch.cat(
        [autoencoder.decode(autoencoder.encode(chunk.to(autoencoder.device))[0]).cpu() for chunk in chunks]
    )


def _refuse_broken(samples: torch.Tensor, path: Path) -> None:
    broken = int((~torch.isfinite(samples)).flatten(1).any(dim=1).sum())
    if broken:
        raise ValueError(
            f"{path}: {broken} of {len(samples)} samples hold values that are not finite, so the training went astray; "
            "lower the model's training.learning_rate"
        )
