"""Train one generative network on T, the training images. Knows no network by name."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of, training_rows
from copylens.generation.load import SNAPSHOTS, load_autoencoder
from copylens.jobs.checksums import checked, file_checksum, whole
from copylens.jobs.files import read_array, read_table, write_table, write_yaml
from copylens.jobs.job import timed
from copylens.jobs.seeds import derive_seed
from copylens.jobs.workdir import Unfinished
from copylens.training.module import TrainedModule, device
from copylens.training.tensors import as_batch, save_module, save_tensors

FILES = ("weights.safetensors", SNAPSHOTS, "spec.yaml", "losses.csv", "training_rows.tsv")


@dataclass(frozen=True)
class Trained:
    """A trained network, its losses (columns step, epoch, name, value), its epoch, and its tensors at earlier ones."""

    network: TrainedModule
    losses: pd.DataFrame
    epoch: int
    snapshots: dict[int, dict[str, torch.Tensor]]

    @property
    def epochs(self) -> list[int]:
        """Passes over its training images (S for a student) of each kept state, the final state last."""
        return [*sorted(self.snapshots), self.epoch]


def train_model(
    settings: dict, seed: int, files: dict[str, Path], folder: Path, unfinished: Unfinished, n_gpus: int = 1
) -> None:
    """Train the network that `settings` describe on T and write its five files into `folder`.

    weights.safetensors; snapshots.safetensors (weights after the epochs of training.snapshots, named `epoch/name`);
    spec.yaml (settings, seed, grid, epochs: see `Trained.epochs`; what a private training spent); losses.csv (step,
    epoch, name, value); training_rows.tsv (scan, patient, row in images.npy), exactly the network's T.

    files: images, splits and, for a network on the latents of an autoencoder, autoencoder (its folder), and for one
    that starts from another, pretrained (its folder), and for one that learns from another's samples, teacher (the
    samples). Uses at most `n_gpus` GPUs.
    """
    splits, images = read_table(files["splits"]), read_array(files["images"])
    below, start = files.get("autoencoder"), files.get("pretrained")
    rows = training_rows(splits, settings["n_train"])
    family = implementation("models", settings["kind"])
    # A control may keep images outside T; its samples are compared with T all the same.
    shown = {"train": images[family.rows(splits) if hasattr(family, "rows") else rows]}
    if "teacher" in files:
        shown["train"] = read_array(files["teacher"])[-1]
    if settings.get("training", {}).get("stop"):
        shown["calibration"] = images[rows_of(splits, "calibration")]
    identity = {
        "settings": settings,
        "seed": seed,
        "data": [_checksum(part) for part in shown.values()],
        "upstream": [file_checksum(folder / "weights.safetensors") for folder in (below, start) if folder],
        "code": [file_checksum(path) for path in code_of("models", settings["kind"], "training/loop")],
    }

    patients = np.unique(splits["patient"][rows], return_inverse=True)[1]
    if settings.get("privacy"):  # whose steps take patients
        identity["patients"] = hashlib.sha256(patients.astype(np.int64).tobytes()).hexdigest()

    def compute() -> Trained:
        autoencoder = load_autoencoder(below) if below else None
        torch.manual_seed(derive_seed(seed, "initial weights"))
        network = implementation("models", settings["kind"]).build(settings, list(images.shape[1:]), autoencoder)
        network.patients = patients
        if start:
            network.start_from(load_file(checked(start / "weights.safetensors")))
        return train_network(network, seed, shown, unfinished, identity, n_gpus)

    def write(trained: Trained) -> None:
        save_module(trained.network, folder / "weights.safetensors")
        kept = {
            f"{epoch}/{name}": tensor
            for epoch in trained.epochs[:-1]
            for name, tensor in trained.snapshots[epoch].items()
        }
        save_tensors(kept, folder / SNAPSHOTS)
        spec = {"settings": settings, "seed": seed, "grid": list(images.shape[1:]), "epochs": trained.epochs}
        spec |= trained.network.spent()
        write_yaml(spec, folder / "spec.yaml")
        write_table(trained.losses, folder / "losses.csv")
        table = pd.DataFrame({"row": rows, "scan": splits["scan"][rows], "patient": splits["patient"][rows]})
        write_table(table, folder / "training_rows.tsv")

    unfinished.run(identity, [folder / name for name in FILES], compute, write)


def reuse_model(source: Path, folder: Path) -> None:
    """Copy the files of the trained network in `source` into `folder`."""
    for name in FILES:
        with whole(folder / name) as temporary:
            shutil.copyfile(checked(source / name), temporary)


def train_network(
    network: TrainedModule,
    seed: int,
    images: dict[str, np.ndarray],
    unfinished: Unfinished,
    identity: dict,
    n_gpus: int = 1,
) -> Trained:
    """The network, trained on images["train"], [scan, *grid], or just prepared with them if it isn't trained.

    images: by role; others than the training images are only looked at.
    """
    images_BC, settings = as_batch(images["train"]), network.settings
    network.known = {role: as_batch(part) for role, part in images.items()} if len(images) > 1 else {}
    if "training" not in settings:
        network.to(device()).prepare(images_BC)
        return Trained(network, pd.DataFrame(columns=["step", "epoch", "name", "value"]), *network.earlier())
    # Here, because Lightning takes seconds to import and only training needs it.
    from copylens.training import loop

    n_devices = 1 if settings.get("privacy") else loop.count_devices(n_gpus)
    with timed("training"):
        losses = loop.fit(network, images_BC, seed, unfinished, identity, n_devices=n_devices)
    batch_size = min(settings["training"]["batch_size"], len(images_BC))
    losses.insert(1, "epoch", losses["step"] * batch_size // len(images_BC))
    kept = {int(path.stem): load_file(path) for path in (unfinished.work / "snapshots").glob("*.safetensors")}
    last = int(losses["epoch"].max())
    kept.pop(last, None)  # the final state, which the network holds
    return Trained(network, losses, last, kept)


def _checksum(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images, dtype=np.float32).data).hexdigest()
