"""Draw images from a trained network, and measure what can be said of it without them. Knows no network by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.generation.load import SNAPSHOTS, load_model
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_table, read_yaml, write_array, write_table
from copylens.jobs.job import timed
from copylens.jobs.workdir import Chunks, claim, discard, exclusive
from copylens.training.module import TrainedModule
from copylens.training.tensors import as_batch

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
    work: Path,
) -> None:
    """Draw S from every kept state of the network in `folder`, and say how well each denoises.

    samples: float32 [state, n_samples, *grid], in the order of the network's `epochs`. reconstructed: decode(encode(x))
    for x in V and H, float32 [V then H, *grid]; no rows for a network without an autoencoder. denoising: the losses of
    T and V by noise level, columns epoch, role, timestep, loss (mean), error (its standard error); no rows for a
    network that doesn't learn to denoise. What is drawn lies in `work` until all is there, and is not drawn again after
    an interruption. ValueError if a sample holds NaN or infinity.
    """
    spec = read_yaml(folder / "spec.yaml")
    kind, paths = spec["settings"]["kind"], [samples_path, reconstructed_path, denoising_path]
    weights = [folder / "weights.safetensors", folder / SNAPSHOTS]
    weights += [upstream / "weights.safetensors"] if upstream else []
    data = [Path(images_path), Path(splits_path), folder / "training_rows.tsv"]
    identity = {
        "settings": {"network": spec, "sampling": sampling},
        "weights": [file_checksum(path) for path in weights],
        "data": [file_checksum(path) for path in data],
        "code": [file_checksum(path) for path in code_of("models", kind, "generation/sample")],
        "versions": str(torch.__version__),
    }
    with exclusive(work, identity) as waited:
        if waited and all(Path(path).exists() for path in paths):
            return
        claim(work, identity)
        images, splits = read_array(images_path), read_table(splits_path)
        reconstructed = np.empty((0, *spec["grid"]), np.float32)
        if upstream:
            held_out = np.concatenate([rows_of(splits, "calibration"), rows_of(splits, "control")])
            with timed("reconstruction"):
                reconstructed = reconstruct(load_model(upstream), as_batch(images[held_out]))[:, 0].numpy()
        sets = {"train": images[read_table(folder / "training_rows.tsv")["row"]]}
        sets["calibration"] = images[rows_of(splits, "calibration")]
        drawn = Chunks(work, (len(spec["epochs"]), sampling["n_samples"]))
        losses = []
        for state in range(len(spec["epochs"])):
            losses.append(_draw_state(folder, upstream, spec, sampling, sets, state, drawn, work))
        write_array(reconstructed, reconstructed_path)
        write_table(pd.concat(losses, ignore_index=True), denoising_path)
        drawn.move_to(samples_path)
        discard(work)


def _draw_state(folder, upstream, spec: dict, sampling: dict, sets: dict, state: int, drawn: Chunks, work: Path):
    """Draw what isn't drawn yet of one kept state of a network; its denoising losses."""
    epochs, seed, n = spec["epochs"], spec["seed"], sampling["n_samples"]
    family = implementation("models", spec["settings"]["kind"])
    first, losses_path = drawn.done - state * n, work / f"denoising_{state}.csv"
    if first < n or not losses_path.exists():
        module = load_model(folder, upstream, None if epochs[state] == epochs[-1] else epochs[state])
        if first < n:
            with timed("sampling"):
                for batch in family.sample(module, n, seed, sampling, first):
                    drawn.add(batch[:, 0].numpy())
        losses = pd.DataFrame(columns=["role", "timestep", "loss", "error"])
        if hasattr(family, "losses_by_noise"):
            with timed("denoising"):
                losses = denoising_losses(family, module, sets, seed)
        write_table(losses.assign(epoch=epochs[state]), losses_path)
    _refuse_broken(drawn.rows[state * n : (state + 1) * n], work)
    return read_table(losses_path)


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


def _refuse_broken(samples: np.ndarray, work: Path) -> None:
    broken = sum(not np.isfinite(sample).all() for sample in samples)
    if broken:
        discard(work)
        raise ValueError(
            f"{work}: {broken} of {len(samples)} samples hold values that are not finite, so the training went astray; "
            "lower the model's training.learning_rate"
        )
