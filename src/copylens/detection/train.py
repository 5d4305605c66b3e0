"""Train one copy detector and embed images with it. Knows no detector by name."""

import hashlib
from pathlib import Path

import pandas as pd
import torch

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_table, write_table, write_yaml
from copylens.jobs.job import timed
from copylens.jobs.seeds import derive_seed
from copylens.jobs.workdir import discard, exclusive
from copylens.training.tensors import as_batch, save_module

FILES = ("weights.safetensors", "spec.yaml", "losses.csv")


def train_detector(
    settings: dict, images_path: Path, splits_path: Path, work: Path, folder: Path, deadline: float | None = None
) -> None:
    """Write weights.safetensors, spec.yaml and losses.csv of a detector: trained on T, its weights the best on V.

    A kind without training is fitted to T, if it knows how, or written as it is built. spec.yaml: settings, grid, and
    which stages of a comparison the kind has (lay, compare, verify; see `copylens.detection.nearest`). Unfinished state
    lies in `work`; see `copylens.training.loop.fit` for the `deadline`.
    """
    splits = read_table(splits_path)
    images = read_array(images_path)
    grid = list(images.shape[1:])
    train_BC = as_batch(images[rows_of(splits, "train")])
    validation_BC = as_batch(images[rows_of(splits, "calibration")])
    family = implementation("detectors", settings["kind"])
    identity = {
        "settings": settings,
        "data": [hashlib.sha256(images_BC.numpy()).hexdigest() for images_BC in (train_BC, validation_BC)],
        "code": [file_checksum(path) for path in code_of("detectors", settings["kind"], "training/loop")],
    }
    with exclusive(work, identity, deadline) as waited:
        if waited and all((folder / name).exists() for name in FILES):
            return
        # A kind without training seeds what it draws by itself.
        torch.manual_seed(derive_seed(settings.get("seed", 0), "initial weights"))
        module = family.build(settings, grid)
        losses = pd.DataFrame(columns=["step", "name", "value"])
        if "training" in settings:
            # Here, because Lightning takes seconds to import and only training needs it.
            from copylens.training import loop

            with timed("training"):
                losses = loop.fit(module, train_BC, settings["seed"], work, identity, validation_BC, deadline)
        elif hasattr(family, "fit"):
            with timed("training"):
                family.fit(module, train_BC)
        save_module(module, folder / "weights.safetensors")
        stages = {stage: hasattr(family, stage) for stage in ("lay", "compare", "verify")}
        write_yaml({"settings": settings, "grid": grid, **stages}, folder / "spec.yaml")
        write_table(losses, folder / "losses.csv")
        discard(work)
