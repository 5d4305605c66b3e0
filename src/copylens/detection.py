"""Train one copy detector and embed images with it. Knows no detector by name."""

import hashlib
import shutil
from importlib import import_module
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from copylens import training
from copylens.files import file_checksum, read_array, read_table, read_yaml, write_array, write_table, write_yaml
from copylens.generators import as_batch, save_module
from copylens.splits import rows_of


def train_detector(settings: dict, images_path: Path, splits_path: Path, work: Path, folder: Path) -> None:
    """Write weights.safetensors, spec.yaml and losses.csv of a detector: trained on T, its weights the best on V.

    A kind without training is written as it is built.
    """
    splits = read_table(splits_path)
    images = read_array(images_path)
    grid = list(images.shape[1:])
    train_BC = as_batch(images[rows_of(splits, "train")])
    validation_BC = as_batch(images[rows_of(splits, "calibration")])
    family = _family(settings["kind"])
    torch.manual_seed(training.derive_seed(settings["seed"], "initial weights"))
    module = family.build(settings, grid)
    if "training" in settings:
        identity = {
            "settings": settings,
            "data": [hashlib.sha256(images_BC.numpy()).hexdigest() for images_BC in (train_BC, validation_BC)],
            "code": [file_checksum(Path(module_.__file__)) for module_ in (training, family)],
        }
        losses = training.fit(module, train_BC, settings["seed"], work, identity, validation_BC)
    else:
        losses = pd.DataFrame(columns=["step", "name", "value"])
    save_module(module, folder / "weights.safetensors")
    write_yaml({"settings": settings, "grid": grid}, folder / "spec.yaml")
    write_table(losses, folder / "losses.csv")
    shutil.rmtree(work, ignore_errors=True)


def embed(folder: Path, images_path: Path, embeddings_path: Path) -> None:
    """Write the embeddings of every image, float32 [image, d], by the detector in `folder`.

    Raises ValueError if one isn't finite, because such an image would pass for innocent.
    """
    spec = read_yaml(folder / "spec.yaml")
    family = _family(spec["settings"]["kind"])
    module = family.build(spec["settings"], spec["grid"])
    module.load_weights(load_file(folder / "weights.safetensors"))
    module.to(training.device()).eval()
    images = read_array(images_path)
    size = spec["settings"].get("training", spec["settings"])["batch_size"]
    blocks = [family.embed(module, as_batch(images[start : start + size])) for start in range(0, len(images), size)]
    embeddings = torch.cat(blocks) if blocks else torch.empty(0, 1)
    if not torch.isfinite(embeddings).all():
        raise ValueError(f"{embeddings_path}: the detector gives values that are not finite; lower its learning_rate")
    write_array(embeddings.numpy(), embeddings_path)


def _family(kind: str):
    return import_module(f"copylens.detectors.{kind}")
