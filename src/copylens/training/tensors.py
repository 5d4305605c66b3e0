"""Images as batches, and networks' tensors as files."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from copylens.jobs.files import whole
from copylens.training.module import TrainedModule


def as_batch(images: np.ndarray) -> torch.Tensor:
    """[B, *grid] -> [B, 1, *grid], float32."""
    array = np.asarray(images, dtype=np.float32)
    # Memory-mapped arrays are copied, because torch has no read-only tensors.
    return torch.from_numpy(array if array.flags.writeable else array.copy())[:, None]


def save_module(module: TrainedModule, path: Path) -> None:
    """The tensors needed to use the network, as safetensors."""
    save_tensors({name: tensor.cpu().contiguous() for name, tensor in module.weights().items()}, path)


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """A safetensors file."""
    with whole(path) as temporary:
        save_file(tensors, temporary)
