"""Trainings of seconds, for the tests of networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copylens.generation.sample import draw_samples
from copylens.generation.train import train_model
from copylens.jobs.files import write_array, write_table
from copylens.jobs.workdir import Unfinished
from copylens.training import loop

N_SCANS = 48


def tiny_settings(config: dict, section: str, kind: str) -> dict:
    entries = [entry for entry in config[section].values() if entry["kind"] == kind]
    assert entries, f"configs/tiny.yaml has no entry of kind {kind} in {section}"
    return entries[0]


def long(settings: dict, steps: int) -> dict:
    """`settings` with so many training steps, if there is anything to train."""
    if "training" not in settings:
        return settings
    chunks = {"steps": steps, "checkpoint_every": max(1, steps // 4), "learning_rate": 3e-3}
    return settings | {"training": settings["training"] | chunks}


def train(config: dict, kind: str, data: Path, name: str, steps: int = 6) -> tuple[Path, Path | None]:
    """(folder, upstream folder) of a tiny trained model of one kind."""
    settings = long(tiny_settings(config, "models", kind), steps)
    upstream = None
    if settings.get("autoencoder"):
        below = config["models"][settings["autoencoder"]["model"]]
        upstream = data / f"{name}_upstream"
        train_into(long(below, steps), data, upstream, None)
    train_into(settings, data, data / name, upstream)
    return data / name, upstream


def random_images(folder: Path, grid: tuple[int, ...]) -> Path:
    """Writes images of noise of twelve patients, and their split, into a folder, which it returns."""
    write_array(np.random.default_rng(0).random((12, *grid), dtype=np.float32), folder / "images.npy")
    roles = ["train"] * 6 + ["calibration"] * 3 + ["control"] * 3
    write_table(pd.DataFrame({"scan": range(12), "patient": range(12), "role": roles}), folder / "splits.tsv")
    return folder


def files_of(data: Path, upstream: Path | None = None) -> dict[str, Path]:
    """What a network is trained on: images, splits, and the autoencoder below it if it has one."""
    files = {"images": data / "images.npy", "splits": data / "splits.tsv"}
    return files | ({"autoencoder": upstream} if upstream else {})


def train_into(settings: dict, data: Path, folder: Path, upstream: Path | None) -> None:
    train_model(settings, 0, files_of(data, upstream), folder, Unfinished(data / f"work_{folder.name}"))


def draw_into(drawn: Path, data: Path, folder: Path, upstream: Path | None, sampling: dict) -> list[Path]:
    """The three files of samples of the network in `folder`: images, reconstructed, denoising."""
    names = {"images": "images.npy", "reconstructed": "reconstructed.npy", "denoising": "denoising.csv"}
    outputs = {name: drawn / file for name, file in names.items()}
    draw_samples(sampling, {"model": folder, **files_of(data, upstream)}, outputs, Unfinished(drawn / "work"))
    return list(outputs.values())


def weights_of(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


class Stopped(loop.Reseed):
    """Fails the training in the midst of chunk `chunk`, as a cluster's time limit would."""

    chunk = None

    def on_train_batch_end(self, trainer, module, *args):
        if trainer.current_epoch == self.chunk:
            raise TimeoutError


def break_off(monkeypatch, train: Callable[[], None], chunk: int = 2) -> None:
    """Runs a training that is interrupted in the midst of a chunk."""
    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(loop, "Reseed", Stopped)
        patch.setattr(Stopped, "chunk", chunk)
        train()
