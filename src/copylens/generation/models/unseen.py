"""The negative control: real images of patients who are in no set. Copies found here are false positives."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from copylens.data.splits import unseen_rows
from copylens.jobs.seeds import derive_seed
from copylens.training.module import KeptImages, TrainedModule

SETTINGS = """
required: [sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  sampling: {$ref: "#/$defs/sampling"}
"""


def rows(splits: pd.DataFrame) -> np.ndarray:
    """Rows of images.npy that it keeps: the first image of each patient without a role."""
    numbers = unseen_rows(splits)
    numbers = numbers[~splits["patient"].iloc[numbers].duplicated().to_numpy()]
    if not len(numbers):
        raise ValueError("split: every patient has a role, so a model of kind unseen has none left; lower the numbers")
    return numbers


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> KeptImages:
    """Keeps its images like a copycat; it has no upstream network."""
    return KeptImages(settings)


def sample(module: KeptImages, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """Images of unseen patients, each at most once."""
    if n > len(module.images):
        raise ValueError(
            f"sampling.n_samples: asks a model of kind unseen for {n} images, but there are {len(module.images)} "
            "patients without a role"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    drawn = module.images[torch.randperm(len(module.images), generator=generator)[:n]].cpu()
    yield from drawn[first:].split(sampling["batch_size"])
