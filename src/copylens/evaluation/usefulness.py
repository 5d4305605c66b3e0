"""What samples are worth to somebody else: a network that learns from them alone, tested on patients outside T.

The task needs no labels: to take noise off images, as a network does that is pretrained on unlabelled images. It's
learnt from S, and for comparison from T, and tested on V and H, patients whom no generator was trained on. Copies of T
are worth as much as T, so this measure says nothing about privacy.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from copylens.config.columns import STATE
from copylens.data.splits import rows_of
from copylens.evaluation.classes import score_classes
from copylens.jobs.files import read_array, read_table, read_yaml, write_table
from copylens.jobs.job import timed
from copylens.jobs.lean_monai import nets
from copylens.jobs.seeds import derive_seed, generator_of
from copylens.training.module import device
from copylens.training.tensors import as_batch

NOISE = 0.3  # deviation, of images in [0, 1]
BATCH, LEARNING_RATE = 32, 2e-3
CHANNELS = (16, 32, 64)
DRAWS, LEVEL = 1000, 0.95  # of the bootstrap over patients


def score_usefulness(runs: list[dict], paths: list[dict[str, Path]], settings: dict, path: Path) -> None:
    """Write the table, a row per network.

    Run columns and epoch (the last); error and error_of_training, mean squared errors on V and H of the network that
    learnt from S, and of the one that learnt from T; usefulness, the latter over the former, 1 where samples are worth
    as much as T, with its interval over patients; n_samples. Where the study's data sets are classes, also area, of a
    classifier that learnt from S of all of them, with its interval over patients, and area_of_training, the same in the
    row of each class (`copylens.evaluation.classes`).

    runs: dataset, model, kind, variant and seed of each network. paths: for each the files images, samples, splits,
    training_rows and spec. settings: steps, seed, classes.
    """
    rows, of_training = [], {}
    for run, files in zip(runs, paths, strict=True):
        splits, images, samples = read_table(files["splits"]), read_array(files["images"]), read_array(files["samples"])
        held_out = np.concatenate([rows_of(splits, role) for role in ("calibration", "control")])
        tested, patients = images[held_out], splits["patient"].to_numpy()[held_out]
        trained = tuple(read_table(files["training_rows"])["row"])
        with timed("learning"):
            if (run["dataset"], trained) not in of_training:
                of_training[run["dataset"], trained] = errors_of(images[list(trained)], tested, settings)
            errors = errors_of(samples[-1], tested, settings)
        reference = of_training[run["dataset"], trained]
        low, high = ratio_interval(reference, errors, patients)
        rows.append(
            {
                **{key: run[key] for key in STATE if key != "epoch"},
                "epoch": read_yaml(files["spec"])["epochs"][-1],
                "error": errors.mean(),
                "error_of_training": reference.mean(),
                "usefulness": reference.mean() / errors.mean(),
                "usefulness_low": low,
                "usefulness_high": high,
                "n_samples": samples.shape[1],
            }
        )
    table = pd.DataFrame(rows)
    if settings["classes"]:
        with timed("learning classes"):
            table = table.join(score_classes(runs, paths, settings))
    write_table(table, path)


def errors_of(learnt_from: np.ndarray, tested: np.ndarray, settings: dict) -> np.ndarray:
    """Mean squared error of each image of `tested` [n, *grid] after a network that saw `learnt_from` took noise off.

    settings: steps of the training, and its seed. The same noise every time.
    """
    torch.manual_seed(derive_seed(settings["seed"], "usefulness"))
    dims = tested.ndim - 1
    network = nets.UNet(dims, 1, 1, CHANNELS, strides=(2,) * (len(CHANNELS) - 1), num_res_units=1, norm=None)  # type: ignore[arg-type]
    network.to(device())
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["steps"])
    images_BC = as_batch(learnt_from)
    for _ in range(settings["steps"]):
        batch = images_BC[torch.randint(len(images_BC), (BATCH,))]
        noisy = (batch + NOISE * torch.randn(batch.shape)).to(device())
        optimizer.zero_grad()
        functional.mse_loss(noisy - network(noisy), batch.to(device())).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    generator = torch.Generator().manual_seed(derive_seed(settings["seed"], "usefulness, tested"))
    errors = []
    with torch.no_grad():
        for batch in as_batch(tested).split(BATCH):
            noisy = (batch + NOISE * torch.randn(batch.shape, generator=generator)).to(device())
            errors.append((noisy - network(noisy) - batch.to(device())).square().flatten(1).mean(1).cpu())
    return torch.cat(errors).numpy().astype(np.float64)


def ratio_interval(reference: np.ndarray, errors: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """The interval of mean(reference) / mean(errors), [image] each, by a bootstrap over the images' patients."""
    numbers = np.unique(patients, return_inverse=True)[1]
    sums = np.stack([np.bincount(numbers, weights) for weights in (reference, errors)])
    generator = generator_of("usefulness")
    drawn = generator.integers(sums.shape[1], size=(DRAWS, sums.shape[1]))
    ratios = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
