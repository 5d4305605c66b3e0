"""Train one copy detector and embed images with it. Knows no detector by name."""

import hashlib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from copylens.config.kinds import code_of
from copylens.data.splits import rows_of
from copylens.generation.train import as_batch, save_module
from copylens.jobs.checksums import checked, file_checksum
from copylens.jobs.files import read_array, read_table, read_yaml, write_array, write_table, write_yaml
from copylens.jobs.job import timed
from copylens.jobs.workdir import Chunks, claim, discard, exclusive
from copylens.training.module import TrainedModule, derive_seed, device

BATCHES = 16  # embedded between two notes of how far it is
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
    family = _family(settings["kind"])
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


def load_detector(folder: Path) -> TrainedModule:
    """The detector in `folder`, ready to be used."""
    spec = read_yaml(folder / "spec.yaml")
    module = _family(spec["settings"]["kind"]).build(spec["settings"], spec["grid"])
    module.load_weights(load_file(checked(folder / "weights.safetensors")))
    return module.to(device()).eval()


def family_of_detector(folder: Path):
    """The file of the kind of the detector in `folder`."""
    return _family(read_yaml(folder / "spec.yaml")["settings"]["kind"])


class Embedder:
    """Embeds images [..., *grid] by the detector in a folder, float32 [..., d]."""

    def __init__(self, folder: Path):
        spec = read_yaml(folder / "spec.yaml")
        self.n_axes = len(spec["grid"])
        self.module, self.family = load_detector(folder), _family(spec["settings"]["kind"])
        self.batch_size = spec["settings"].get("training", spec["settings"])["batch_size"]
        self.identity = {
            "settings": spec,
            "weights": file_checksum(folder / "weights.safetensors"),
            "code": [file_checksum(path) for path in code_of("detectors", spec["settings"]["kind"])],
            "versions": str(torch.__version__),
        }

    def __call__(self, images: np.ndarray) -> np.ndarray:
        rows, size = images.reshape(-1, *images.shape[-self.n_axes :]), self.batch_size
        blocks = [
            self.family.embed(self.module, as_batch(rows[start : start + size])) for start in range(0, len(rows), size)
        ]
        embeddings = torch.cat(blocks).numpy() if blocks else np.empty((0, 1), np.float32)
        return embeddings.reshape(*images.shape[: -self.n_axes], embeddings.shape[1])


def embed_file(embed: Embedder, images_path: Path, embeddings_path: Path, work: Path) -> None:
    """Write the embeddings of every image in a file, float32 [..., d] for images [..., *grid].

    What is embedded lies in `work` until all is there, and is not embedded again after an interruption. Raises
    ValueError if an embedding isn't finite or doesn't vary, because such an image would pass for innocent.
    """
    images = read_array(images_path)
    rows = images.reshape(-1, *images.shape[-embed.n_axes :])
    identity = embed.identity | {"data": file_checksum(Path(images_path))}
    with exclusive(work, identity) as waited:
        if waited and Path(embeddings_path).exists():
            return
        if not len(rows):
            return write_array(embed(images), embeddings_path)
        claim(work, identity)
        embedded = Chunks(work, images.shape[: -embed.n_axes])
        with timed("embedding"):
            for start in range(embedded.done, len(rows), BATCHES * embed.batch_size):
                embedded.add(embed(rows[start : start + BATCHES * embed.batch_size]))
        _refuse_blind(embedded.rows, images_path, work)
        embedded.move_to(embeddings_path)
        discard(work)


def _refuse_blind(rows: np.ndarray, images_path: Path, work: Path) -> None:
    constant, finite = np.flatnonzero(rows.max(axis=1) == rows.min(axis=1)), np.isfinite(rows).all()
    if len(constant) or not finite:
        discard(work)
    if not finite:
        raise ValueError(f"{images_path}: the detector gives values that are not finite; lower its learning_rate")
    if len(constant):
        raise ValueError(
            f"{images_path}: the detector sees nothing in image {constant[0]} (its embedding is one constant, "
            f"as those of {len(constant)} images are); leave blank images out, or choose another detector"
        )


def _family(kind: str):
    return import_module(f"copylens.detection.detectors.{kind}")
