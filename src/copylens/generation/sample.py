"""Draw images from a trained network, and measure its denoising losses. Knows no network by name.

T, V, H and S are training, calibration, control and synthetic images.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.generation.load import SNAPSHOTS, load_autoencoder, load_model
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_table, read_yaml, write_array, write_table
from copylens.jobs.job import timed
from copylens.jobs.workdir import Chunks, Unfinished, claim, discard
from copylens.training.module import LatentSpace, TrainedModule
from copylens.training.tensors import as_batch

NOISE_LEVELS = 10  # at which the denoising loss is measured


def draw_samples(sampling: dict, files: dict[str, Path], outputs: dict[str, Path], unfinished: Unfinished) -> None:
    """Draw S from every kept state of a network, and measure the denoising losses of each.

    files: model (the network's folder), images, splits and, for a network on the latents of an autoencoder, autoencoder
    (its folder). outputs:

    - images: float32 [state, n_samples, *grid], in the order of the network's `epochs`;
    - reconstructed: decode(encode(x)) for x in V and H, float32 [V then H, *grid]; no rows without an autoencoder;
    - denoising: the losses of T and V by noise level, columns epoch, role, timestep, loss (mean), error (its standard
      error); no rows for a network that doesn't learn to denoise.

    After an interruption it resumes with the samples not drawn yet. ValueError if a sample holds NaN or infinity.
    """
    folder, below, work = files["model"], files.get("autoencoder"), unfinished.work
    spec = read_yaml(folder / "spec.yaml")
    weights = [folder / "weights.safetensors", folder / SNAPSHOTS]
    weights += [below / "weights.safetensors"] if below else []
    data = [Path(files["images"]), Path(files["splits"]), folder / "training_rows.tsv"]
    identity = {
        "settings": {"network": spec, "sampling": sampling},
        "weights": [file_checksum(path) for path in weights],
        "data": [file_checksum(path) for path in data],
        "code": [file_checksum(path) for path in code_of("models", spec["settings"]["kind"], "generation/sample")],
        "versions": str(torch.__version__),
    }

    def compute() -> tuple[np.ndarray, pd.DataFrame, Chunks]:
        claim(work, identity)
        images, splits = read_array(files["images"]), read_table(files["splits"])
        held_out = {role: images[rows_of(splits, role)] for role in ("calibration", "control")}
        reconstructed = np.empty((0, *spec["grid"]), np.float32)
        if below:
            with timed("reconstruction"):
                both = np.concatenate(list(held_out.values()))
                reconstructed = reconstruct(load_autoencoder(below), as_batch(both))[:, 0].numpy()
        training = images[read_table(folder / "training_rows.tsv")["row"]]
        sets = {"train": training, "calibration": held_out["calibration"]}
        drawn = Chunks(work, (len(spec["epochs"]), sampling["n_samples"]))
        losses = []
        for state, epoch in enumerate(spec["epochs"]):
            load = partial(load_model, folder, below, None if epoch == spec["epochs"][-1] else epoch)
            of_state = _draw_state(load, spec, sampling, sets, state, drawn)
            losses.append(of_state.assign(epoch=epoch))
        return reconstructed, pd.concat(losses, ignore_index=True), drawn

    def write(results: tuple[np.ndarray, pd.DataFrame, Chunks]) -> None:
        reconstructed, losses, drawn = results
        write_array(reconstructed, outputs["reconstructed"])
        write_table(losses, outputs["denoising"])
        drawn.move_to(outputs["images"])

    unfinished.run(identity, list(outputs.values()), compute, write)


def _draw_state(
    load: Callable[[], TrainedModule], spec: dict, sampling: dict, sets: dict, state: int, drawn: Chunks
) -> pd.DataFrame:
    """Draw the remaining samples of one kept state of a network; returns its denoising losses."""
    seed, n, work = spec["seed"], sampling["n_samples"], drawn.path.parent
    family = implementation("models", spec["settings"]["kind"])
    first, losses_path = drawn.done - state * n, work / f"denoising_{state}.csv"
    if first < n or not losses_path.exists():
        module = load()
        if first < n:
            if sampling.get("guidance") or sampling.get("reject"):
                module.known = {role: as_batch(images) for role, images in sets.items()}
            with timed("sampling"):
                for batch in family.sample(module, n, seed, sampling, first):
                    drawn.add(batch[:, 0].numpy())
        losses = pd.DataFrame(columns=["role", "timestep", "loss", "error"])
        if hasattr(family, "losses_by_noise") and module.denoises:
            with timed("denoising"):
                losses = denoising_losses(family, module, sets, seed)
        write_table(losses, losses_path)
    _refuse_broken(drawn.rows[state * n : (state + 1) * n], work)
    return read_table(losses_path)


def denoising_losses(family, module: TrainedModule, sets: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Mean denoising losses of each set of images [n, *grid], by timestep: columns role, timestep, loss, error.

    A network that memorizes its training images denoises T better than V; this needs no samples.
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
def reconstruct(autoencoder: LatentSpace, images_BC: torch.Tensor) -> torch.Tensor:
    """decode(encode(images)), [B, 1, *grid]: real images after the autoencoder alone."""
    chunks = images_BC.split(autoencoder.settings["training"]["batch_size"])
    return torch.cat(
        [autoencoder.decode(autoencoder.encode(chunk.to(autoencoder.device))[0]).cpu() for chunk in chunks]
    )


def _refuse_broken(samples: np.ndarray, work: Path) -> None:
    broken = sum(not np.isfinite(sample).all() for sample in samples)
    if broken:
        discard(work)
        raise ValueError(
            f"{work}: {broken} of {len(samples)} samples hold values that are not finite, so the training diverged; "
            "lower the model's training.learning_rate"
        )
