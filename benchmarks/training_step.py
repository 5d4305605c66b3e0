"""A training step of latent diffusion against the usual loop of MONAI, and against the machine's matrix product.

    .venv/bin/python benchmarks/training_step.py

The usual loop is that of MONAI's tutorials: `LatentDiffusionInferer` encodes the images of every batch, Adam, no moving
average. copylens encodes each image once, before the first step, clips gradients and averages weights. Same networks,
batch, precision and threads: those of configs/paper_*.yaml at a quarter of their widths, on smaller images. A step's
time is the difference of two trainings' over that of their steps, so that neither's set-up counts; medians over
repetitions in turn. Writes benchmarks/training_step.tsv: seconds of each, their ratio, the floating-point operations of
a step of the U-Net, forward and backward, and what share of a product of large matrices that is.
"""

import os

THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from monai.inferers import LatentDiffusionInferer
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from copylens.config import checks, spec
from copylens.config.kinds import implementation
from copylens.jobs.workdir import Unfinished
from copylens.training.loop import fit

N_IMAGES, REPETITIONS, SMALLER = 256, 5, 4
MATRIX = 3000
# Whose networks and batches, sides of the images, and steps of the short and the long run.
SIZES = {
    "2D, 128 x 128": ("paper_fastmri", [128, 128], (4, 16)),
    "3D, 32 x 64 x 64": ("paper_mrnet", [32, 64, 64], (4, 12)),
}


def settings_of(size: tuple, steps: int) -> list[dict]:
    """Settings of the autoencoder and of the latent diffusion model."""
    config = checks.load_config(Path(__file__).parents[1] / "configs" / f"{size[0]}.yaml")
    found = []
    for model in ("autoencoder", "ldm"):
        settings = spec.training_settings(config, model, "base")
        settings["channels"] = [width // SMALLER for width in settings["channels"]]
        for key in {"norm_groups", "head_channels"} & set(settings):
            settings[key] //= SMALLER
        settings["training"] |= {"steps": steps, "checkpoint_every": steps, "snapshots": []}
        found.append(settings | ({"perceptual_weight": 0.0} if model == "autoencoder" else {}))
    return found


def networks(size: tuple, steps: int):
    """An untrained U-Net on the latents of an untrained autoencoder."""
    below, above = settings_of(size, steps)
    torch.manual_seed(0)
    autoencoder = implementation("models", below["kind"]).build(below, size[1], None)
    return implementation("models", above["kind"]).build(above, size[1], autoencoder)


def ours(images_BC: torch.Tensor, size: tuple, steps: int) -> float:
    module = networks(size, steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        fit(module, images_BC, 0, Unfinished(Path(folder)), {})
        return time.perf_counter() - start


def usual(images_BC: torch.Tensor, size: tuple, steps: int) -> float:
    module = networks(size, steps)
    autoencoder, unet = module.autoencoder.network, module.unet
    batch = settings_of(size, steps)[1]["training"]["batch_size"]
    inferer = LatentDiffusionInferer(module.scheduler, scale_factor=1.0)
    optimizer = torch.optim.Adam(unet.parameters(), lr=1e-4)
    loader = DataLoader(TensorDataset(images_BC), batch, shuffle=True, drop_last=True)
    shape = module.autoencoder.latent_shape
    start, done = time.perf_counter(), 0
    while True:
        for (images,) in loader:
            noise = torch.randn(len(images), *shape)
            timesteps = torch.randint(0, module.scheduler.num_train_timesteps, (len(images),))
            optimizer.zero_grad(set_to_none=True)
            prediction = inferer(images, autoencoder, unet, noise=noise, timesteps=timesteps)
            functional.mse_loss(prediction, noise).backward()
            optimizer.step()
            done += 1
            if done == steps:
                return time.perf_counter() - start


def step_of(train: Callable, images_BC: torch.Tensor, size: tuple) -> float:
    """Seconds of a step."""
    short, long = size[2]
    return (train(images_BC, size, long) - train(images_BC, size, short)) / (long - short)


def operations(size: tuple) -> int:
    """Floating-point operations of one step of the U-Net, forward and backward."""
    module = networks(size, 1)
    batch = settings_of(size, 1)[1]["training"]["batch_size"]
    latent = torch.randn(batch, *module.autoencoder.latent_shape)
    with FlopCounterMode(display=False) as counter:
        module.unet(latent, torch.zeros(len(latent), dtype=torch.long)).square().mean().backward()
    return counter.get_total_flops()


def matrix_peak() -> float:
    """Floating-point operations a second of a product of two large matrices, the best of ten."""
    one, other, seconds = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX), []
    for _ in range(10):
        start = time.perf_counter()
        one @ other
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds)


def main() -> None:
    torch.set_num_threads(THREADS)
    rows = []
    for name, size in SIZES.items():
        images_BC = torch.rand(N_IMAGES, 1, *size[1])
        found = [[step_of(train, images_BC, size) for train in (ours, usual)] for _ in range(REPETITIONS)]
        fast, slow = (statistics.median(column) for column in zip(*found, strict=True))
        count, peak = operations(size), matrix_peak()
        rows.append(
            {
                "size": name,
                "copylens_s": round(fast, 4),
                "usual_s": round(slow, 4),
                "times_faster": round(statistics.median(slow / fast for fast, slow in found), 2),
                "gflop": round(count / 1e9, 1),
                "peak_gflop_s": round(peak / 1e9),
                "share_of_peak": round(count / fast / peak, 2),
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
