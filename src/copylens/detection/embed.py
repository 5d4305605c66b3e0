"""Embed images with a trained copy detector. Knows no detector by name."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from copylens.config.dependencies import code_of
from copylens.config.kinds import implementation
from copylens.jobs.checksums import checked, file_checksum
from copylens.jobs.files import read_array, read_yaml, write_array
from copylens.jobs.job import timed
from copylens.jobs.workdir import Chunks, Unfinished, claim, discard
from copylens.training.module import TrainedModule, device
from copylens.training.tensors import as_batch

BATCHES = 16  # embedded between two saves of the progress


def load_detector(folder: Path) -> TrainedModule:
    """The detector in `folder`, ready to be used."""
    spec = read_yaml(folder / "spec.yaml")
    module = implementation("detectors", spec["settings"]["kind"]).build(spec["settings"], spec["grid"])
    module.load_weights(load_file(checked(folder / "weights.safetensors")))
    return module.to(device()).eval()


def family_of_detector(folder: Path):
    """The module of the kind of the detector in `folder`."""
    return implementation("detectors", read_yaml(folder / "spec.yaml")["settings"]["kind"])


class Embedder:
    """Embeds images [..., *grid] by the detector in a folder, float32 [..., d]."""

    def __init__(self, folder: Path):
        spec = read_yaml(folder / "spec.yaml")
        self.n_axes = len(spec["grid"])
        self.module, self.family = load_detector(folder), implementation("detectors", spec["settings"]["kind"])
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


def embed_file(embed: Embedder, images_path: Path, embeddings_path: Path, unfinished: Unfinished) -> None:
    """Write the embeddings of every image in a file, float32 [..., d] for images [..., *grid].

    After an interruption it resumes with the images not embedded yet. Raises ValueError if an embedding isn't finite or
    is constant, because such an image would never be called a copy.
    """
    images = read_array(images_path)
    identity = embed.identity | {"data": file_checksum(Path(images_path))}

    def compute() -> Chunks | None:
        if not images.size:
            return None
        claim(unfinished.work, identity)
        embedded = Chunks(unfinished.work, images.shape[: -embed.n_axes])
        with timed("embedding"):
            embed_images(embed, images, embedded)
        _refuse_blind(embedded.rows, images_path, unfinished.work)
        return embedded

    def write(embedded: Chunks | None) -> None:
        if embedded is None:
            write_array(embed(images), embeddings_path)
        else:
            embedded.move_to(embeddings_path)

    unfinished.run(identity, [embeddings_path], compute, write)


def embed_images(embed: Embedder, images: np.ndarray, embedded: Chunks) -> None:
    """Embed the images [..., *grid] that aren't in `embedded` yet, in order."""
    rows = images.reshape(-1, *images.shape[-embed.n_axes :])
    for start in range(embedded.done, len(rows), BATCHES * embed.batch_size):
        embedded.add(embed(rows[start : start + BATCHES * embed.batch_size]))


def _refuse_blind(rows: np.ndarray, images_path: Path, work: Path) -> None:
    constant, finite = np.flatnonzero(rows.max(axis=1) == rows.min(axis=1)), np.isfinite(rows).all()
    if len(constant) or not finite:
        discard(work)
    if not finite:
        raise ValueError(f"{images_path}: the detector's embeddings are not finite; lower its learning_rate")
    if len(constant):
        raise ValueError(
            f"{images_path}: {len(constant)} images have constant embeddings, the first one is image {constant[0]}; "
            "leave blank images out, or choose another detector"
        )
