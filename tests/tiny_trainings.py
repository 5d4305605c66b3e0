"""Trainings of seconds, for the tests of networks."""

from pathlib import Path

from copylens.generation.sample import draw_samples
from copylens.generation.train import train_model
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


def train_into(settings: dict, data: Path, folder: Path, upstream: Path | None) -> None:
    paths = data / "images.npy", data / "splits.tsv"
    train_model(settings, 0, *paths, upstream, data / f"work_{folder.name}", folder)


def draw_into(drawn: Path, data: Path, folder: Path, upstream: Path | None, sampling: dict) -> list[Path]:
    """The three files of samples of the network in `folder`: images, reconstructed, denoising."""
    paths = [drawn / name for name in ("images.npy", "reconstructed.npy", "denoising.csv")]
    draw_samples(folder, upstream, sampling, data / "images.npy", data / "splits.tsv", *paths, drawn / "work")
    return paths


def weights_of(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


class Stopped(loop.Reseed):
    """Fails the training in the midst of chunk `chunk`, as a cluster's time limit would."""

    chunk = None

    def on_train_batch_end(self, trainer, module, *args):
        if trainer.current_epoch == self.chunk:
            raise TimeoutError
