"""Train one generative network and load it again. Knows no network by name."""

import hashlib
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.data.splits import training_rows
from copylens.generation.load import SNAPSHOTS, load_model
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_table, write_table, write_yaml
from copylens.jobs.job import rank, timed
from copylens.jobs.seeds import derive_seed
from copylens.jobs.workdir import discard, exclusive
from copylens.training.module import device
from copylens.training.tensors import as_batch, save_module, save_tensors

FILES = ("weights.safetensors", SNAPSHOTS, "spec.yaml", "losses.csv", "training_rows.tsv")


def train_model(
    settings: dict,
    seed: int,
    images_path: Path,
    splits_path: Path,
    upstream: Path | None,
    work: Path,
    folder: Path,
    deadline: float | None = None,
    n_gpus: int = 1,
) -> None:
    """Train the network that `settings` describe on T and write its five files into `folder`.

    weights.safetensors; snapshots.safetensors (weights after the epochs of training.snapshots, named `epoch/name`);
    spec.yaml (settings, seed, grid, epochs: how many passes over T each kept state has seen, the last state last);
    losses.csv (step, epoch, name, value); training_rows.tsv (scan, patient, row in images.npy), exactly what the
    network saw. `upstream` is the folder of the autoencoder whose latents it works on. Unfinished state lies in `work`;
    see `copylens.training.loop.fit` for the `deadline`. Of `n_gpus` those are used that there are.
    """
    splits = read_table(splits_path)
    rows = training_rows(splits, settings["n_train"])
    images = read_array(images_path)
    family = implementation("models", settings["kind"])
    # A control may keep other images than T, which it is compared with all the same.
    images_BC = as_batch(images[family.rows(splits) if hasattr(family, "rows") else rows])
    grid = list(images.shape[1:])
    identity = {
        "settings": settings,
        "seed": seed,
        "data": hashlib.sha256(images_BC.numpy()).hexdigest(),
        "upstream": file_checksum(upstream / "weights.safetensors") if upstream else None,
        "code": [file_checksum(path) for path in code_of("models", settings["kind"], "training/loop")],
    }
    # The processes that the first one starts share its lock.
    with exclusive(work, identity, deadline) if rank() == 0 else nullcontext(False) as waited:
        if waited and all((folder / name).exists() for name in FILES):
            return
        below = load_model(upstream) if upstream else None
        torch.manual_seed(derive_seed(seed, "initial weights"))
        module = family.build(settings, grid, below)
        if "training" in settings:
            # Here, because Lightning takes seconds to import and only training needs it.
            from copylens.training import loop

            with timed("training"):
                n_devices = loop.count_devices(n_gpus)
                losses = loop.fit(module, images_BC, seed, work, identity, None, deadline, n_devices)
            if rank():
                return
            kept = {int(path.stem): load_file(path) for path in (work / "snapshots").glob("*.safetensors")}
            losses.insert(1, "epoch", losses["step"] * min(settings["training"]["batch_size"], len(rows)) // len(rows))
        else:
            module.to(device()).prepare(images_BC)
            losses, kept = pd.DataFrame(columns=["step", "epoch", "name", "value"]), {}
        last = int(losses["epoch"].max()) if len(losses) else 0
        kept.pop(last, None)  # the last state itself
        save_module(module, folder / "weights.safetensors")
        save_tensors(
            {f"{epoch}/{name}": kept[epoch][name] for epoch in sorted(kept) for name in kept[epoch]}, folder / SNAPSHOTS
        )
        epochs = [*sorted(kept), last]
        write_yaml({"settings": settings, "seed": seed, "grid": grid, "epochs": epochs}, folder / "spec.yaml")
        write_table(losses, folder / "losses.csv")
        table = pd.DataFrame({"row": rows, "scan": splits["scan"][rows], "patient": splits["patient"][rows]})
        write_table(table, folder / "training_rows.tsv")
        discard(work)
