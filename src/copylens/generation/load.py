"""Load a trained generator. Knows no network by name."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from copylens.config.kinds import implementation
from copylens.jobs.checksums import checked
from copylens.jobs.files import read_yaml
from copylens.training.module import LatentSpace, TrainedModule, device

SNAPSHOTS = "snapshots.safetensors"


def load_model(folder: Path, upstream: Path | None = None, epoch: int | None = None) -> TrainedModule:
    """The trained network in `folder`, ready to be used; `upstream` is its autoencoder's folder, if it has one.

    With its final weights, or with those after `epoch` epochs. Raises ValueError if that epoch wasn't kept.
    """
    spec = read_yaml(folder / "spec.yaml")
    below = load_model(upstream) if upstream else None
    module = implementation("models", spec["settings"]["kind"]).build(spec["settings"], spec["grid"], below)
    weights = load_file(checked(folder / "weights.safetensors")) if epoch is None else _snapshot(folder, epoch)
    module.load_weights(weights)
    return module.to(device()).eval()


def load_autoencoder(folder: Path) -> LatentSpace:
    """The trained autoencoder in `folder`, ready to be used."""
    network = load_model(folder)
    assert isinstance(network, LatentSpace), f"{folder} holds no autoencoder"
    return network


def _snapshot(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    prefix = f"{epoch}/"
    with safe_open(checked(folder / SNAPSHOTS), "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (it isn't a dict)
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    if not tensors:
        raise ValueError(f"{folder / SNAPSHOTS}: epoch {epoch} wasn't kept; name it in the model's training.snapshots")
    return tensors
