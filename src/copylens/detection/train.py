"""Train one copy detector on T (training images), validated on V (calibration images). Knows no detector by name."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_table, write_table, write_yaml
from copylens.jobs.job import timed
from copylens.jobs.seeds import derive_seed
from copylens.jobs.workdir import Unfinished
from copylens.training.module import TrainedModule
from copylens.training.tensors import as_batch, save_module

FILES = ("weights.safetensors", "spec.yaml", "losses.csv")


def train_detector(settings: dict, files: dict[str, Path], folder: Path, unfinished: Unfinished) -> None:
    """Write weights.safetensors, spec.yaml and losses.csv of a detector: trained on T, with its best weights on V.

    spec.yaml: settings, grid, and the comparison stages that the kind has (lay, compare, verify, index, search; see
    `copylens.detection.nearest`). files: images and splits.
    """
    splits, images = read_table(files["splits"]), read_array(files["images"])
    training, validation = (images[rows_of(splits, role)] for role in ("train", "calibration"))
    sets = [np.ascontiguousarray(images, dtype=np.float32) for images in (training, validation)]
    identity = {
        "settings": settings,
        "data": [hashlib.sha256(images.data).hexdigest() for images in sets],
        "code": [file_checksum(path) for path in code_of("detectors", settings["kind"], "training/loop")],
    }

    def write(trained: tuple[TrainedModule, pd.DataFrame]) -> None:
        module, losses = trained
        save_module(module, folder / "weights.safetensors")
        family = implementation("detectors", settings["kind"])
        stages = {stage: hasattr(family, stage) for stage in ("lay", "compare", "verify", "index", "search")}
        write_yaml({"settings": settings, "grid": list(images.shape[1:]), **stages}, folder / "spec.yaml")
        write_table(losses, folder / "losses.csv")

    unfinished.run(
        identity,
        [folder / name for name in FILES],
        lambda: fit_detector(settings, training, validation, unfinished, identity),
        write,
    )


def fit_detector(
    settings: dict, training: np.ndarray, validation: np.ndarray, unfinished: Unfinished, identity: dict
) -> tuple[TrainedModule, pd.DataFrame]:
    """A detector trained on images [scan, *grid], and its losses: columns step, name, value.

    A kind with `fit` is fitted to the training images, after its training if it has one.
    """
    family = implementation("detectors", settings["kind"])
    # A kind without training seeds its own draws.
    torch.manual_seed(derive_seed(settings.get("seed", 0), "initial weights"))
    module = family.build(settings, list(training.shape[1:]))
    losses, train_BC = pd.DataFrame(columns=["step", "name", "value"]), as_batch(training)
    if "training" in settings:
        # Here, because Lightning takes seconds to import and only training needs it.
        from copylens.training import loop

        with timed("training"):
            losses = loop.fit(module, train_BC, settings["seed"], unfinished, identity, as_batch(validation))
    if hasattr(family, "fit"):
        with timed("fit"):
            family.fit(module.eval(), train_BC)
    return module, losses
