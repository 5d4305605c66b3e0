"""Train one copy detector and embed images with it. Knows no detector by name."""

import hashlib
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from copylens.files import file_checksum, read_array, read_table, read_yaml, write_array, write_table, write_yaml
from copylens.generators import as_batch, save_module
from copylens.job import timed
from copylens.kinds import code_of
from copylens.networks import TrainedModule, derive_seed, device
from copylens.splits import rows_of


def train_detector(settings: dict, images_path: Path, splits_path: Path, work: Path, folder: Path) -> None:
    """Write weights.safetensors, spec.yaml and losses.csv of a detector: trained on T, its weights the best on V.

    A kind without training is fitted to T, if it knows how, or written as it is built. spec.yaml: settings, grid, and
    which stages of a comparison the kind has (compare, verify; see `copylens.comparison`).
    """
    splits = read_table(splits_path)
    images = read_array(images_path)
    grid = list(images.shape[1:])
    train_BC = as_batch(images[rows_of(splits, "train")])
    validation_BC = as_batch(images[rows_of(splits, "calibration")])
    family = _family(settings["kind"])
    # A kind without training seeds what it draws by itself.
    torch.manual_seed(derive_seed(settings.get("seed", 0), "initial weights"))
    module = family.build(settings, grid)
    if "training" in settings:
        # Here, because Lightning takes seconds to import and only training needs it.
        from copylens import training

        identity = {
            "settings": settings,
            "data": [hashlib.sha256(images_BC.numpy()).hexdigest() for images_BC in (train_BC, validation_BC)],
            "code": [file_checksum(path) for path in code_of("detectors", settings["kind"], "training")],
        }
        with timed("training"):
            losses = training.fit(module, train_BC, settings["seed"], work, identity, validation_BC)
    else:
        losses = pd.DataFrame(columns=["step", "name", "value"])
        if hasattr(family, "fit"):
            with timed("training"):
                family.fit(module, train_BC)
    save_module(module, folder / "weights.safetensors")
    stages = {stage: hasattr(family, stage) for stage in ("compare", "verify")}
    write_yaml({"settings": settings, "grid": grid, **stages}, folder / "spec.yaml")
    write_table(losses, folder / "losses.csv")
    shutil.rmtree(work, ignore_errors=True)


def load_detector(folder: Path) -> TrainedModule:
    """The detector in `folder`, ready to be used."""
    spec = read_yaml(folder / "spec.yaml")
    module = _family(spec["settings"]["kind"]).build(spec["settings"], spec["grid"])
    module.load_weights(load_file(folder / "weights.safetensors"))
    return module.to(device()).eval()


def family_of_detector(folder: Path):
    """The file of the kind of the detector in `folder`."""
    return _family(read_yaml(folder / "spec.yaml")["settings"]["kind"])


def load_embedder(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function that embeds images [..., *grid] by the detector in `folder`, float32 [..., d]."""
    spec, module, family = read_yaml(folder / "spec.yaml"), load_detector(folder), family_of_detector(folder)
    size = spec["settings"].get("training", spec["settings"])["batch_size"]
    n_axes = len(spec["grid"])

    def embed(images: np.ndarray) -> np.ndarray:
        rows = images.reshape(-1, *images.shape[-n_axes:])
        blocks = [family.embed(module, as_batch(rows[start : start + size])) for start in range(0, len(rows), size)]
        embeddings = torch.cat(blocks).numpy() if blocks else np.empty((0, 1), np.float32)
        return embeddings.reshape(*images.shape[:-n_axes], embeddings.shape[1])

    return embed


def embed_file(embed: Callable[[np.ndarray], np.ndarray], images_path: Path, embeddings_path: Path) -> None:
    """Write the embeddings of every image in a file, float32 [..., d] for images [..., *grid].

    Raises ValueError if one isn't finite or doesn't vary, because such an image would pass for innocent.
    """
    with timed("embedding"):
        embeddings = embed(read_array(images_path))
    if not np.isfinite(embeddings).all():
        raise ValueError(f"{embeddings_path}: the detector gives values that are not finite; lower its learning_rate")
    rows = embeddings.reshape(-1, embeddings.shape[-1])
    constant = np.flatnonzero(rows.max(axis=1) == rows.min(axis=1)) if len(rows) else []
    if len(constant):
        raise ValueError(
            f"{images_path}: the detector sees nothing in image {constant[0]} (its embedding is one constant, "
            f"as those of {len(constant)} images are); leave blank images out, or choose another detector"
        )
    write_array(embeddings, embeddings_path)


def _family(kind: str):
    return import_module(f"copylens.detectors.{kind}")
