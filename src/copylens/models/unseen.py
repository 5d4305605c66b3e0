"""The innocent control: real images of patients who are in no set. A rule that accuses it accuses the innocent."""

import numpy as np
import pandas as pd
import torch

from copylens.models.copycat import Copycat
from copylens.splits import unseen_rows
from copylens.training import TrainedModule, derive_seed


def rows(splits: pd.DataFrame) -> np.ndarray:
    """Which images it keeps, as rows of images.npy: those of patients without a role."""
    found = unseen_rows(splits)
    if not len(found):
        raise ValueError("split: every patient has a role, so a model of kind unseen has none left; lower the numbers")
    return found


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> Copycat:
    """Keeps images as a copycat does, but others."""
    return Copycat(settings, upstream)


def sample(module: Copycat, n: int, seed: int, sampling: dict) -> torch.Tensor:
    """`n` images [n, 1, *grid] of patients that nobody saw, each at most once."""
    if n > len(module.images):
        raise ValueError(
            f"sampling.n_samples: asks a model of kind unseen for {n} images, but there are {len(module.images)} of "
            "patients without a role"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    return module.images[torch.randperm(len(module.images), generator=generator)[:n]].cpu()
