"""Correlation of smoothed pixels in the central window, the largest over flips, turns, crops and shifts of the query.

No training: a search that undoes what was done to a copy, as far as it was rigid.
"""

import numpy as np
import torch

from copylens.filters import no_larger, resize, smooth
from copylens.networks import Untrained
from copylens.warps import flips, turns, warp

SETTINGS = """
properties:
  # Images are compared at a resolution whose longest side has at most so many pixels.
  size_2d: {type: integer, minimum: 8, default: 64}
  size_3d: {type: integer, minimum: 8, default: 32}
  # Standard deviation of the smoothing, in pixels, and the share of each side that is the window.
  smoothing: {$ref: "#/$defs/weight", default: 1.0}
  window: {$ref: "#/$defs/share", default: 0.75}
  # Turned by these angles, about each axis, and shrunk to these shares.
  degrees_2d: {type: array, items: {type: number}, minItems: 1, default: [0, 5, 10, 15, 20]}
  degrees_3d: {type: array, items: {type: number}, minItems: 1, default: [0, 10, 20]}
  shrinking: {type: array, items: {$ref: "#/$defs/positive"}, minItems: 1, default: [1.0, 0.9, 0.8]}
  # Shifted by so much of each side, both ways along every axis, and turned by the smallest angle or not.
  shift: {$ref: "#/$defs/share", default: 0.05}
  neighbours: {$ref: "#/$defs/count", default: 50}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


class AlignedCorrelation(Untrained):
    """Images [B, 1, *grid] to the standardised pixels of their smoothed central windows [B, d]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        dims = len(grid)
        self.grid = no_larger(grid, settings["size_2d" if dims == 2 else "size_3d"])
        degrees = settings["degrees_2d" if dims == 2 else "degrees_3d"]
        still, steps = (
            torch.zeros(1, dims),
            torch.cartesian_prod(*[settings["shift"] * torch.tensor([-1.0, 0, 1])] * dims),
        )
        crops = torch.cat([turns(dims, degrees) / share for share in settings["shrinking"]])
        moved = turns(dims, sorted(degrees, key=abs)[:2])
        self.poses = [(flip @ turn, still) for flip in flips(dims) for turn in crops]
        self.poses += [(flip @ turn, shift[None]) for flip in flips(dims) for turn in moved for shift in steps]
        self.margin = [round(size * (1 - settings["window"]) / 2) for size in self.grid]

    def smoothed(self, images_BC: torch.Tensor) -> torch.Tensor:
        width = self.settings["smoothing"]
        images_BC = resize(images_BC, self.grid)
        return smooth(images_BC, [width] * len(self.grid)) if width else images_BC

    def window(self, images_BC: torch.Tensor) -> torch.Tensor:
        inside = [slice(margin, size - margin) for margin, size in zip(self.margin, self.grid, strict=True)]
        rows = images_BC[(..., *inside)].flatten(1)
        rows = rows - rows.mean(dim=1, keepdim=True)
        return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-6)


def build(settings: dict, grid: list[int]) -> AlignedCorrelation:
    """A detector for images of shape `grid`."""
    return AlignedCorrelation(settings, grid)


@torch.no_grad()
def embed(module: AlignedCorrelation, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    return module.window(module.smoothed(images_BC)).cpu()


@torch.no_grad()
def compare(module: AlignedCorrelation, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """The largest correlation over all poses, [B, T], of images with training images given by embeddings [T, d]."""
    training = torch.from_numpy(np.asarray(embeddings))
    smoothed, best = module.smoothed(images_BC), None
    for matrix, shift in module.poses:
        posed = warp(smoothed, matrix.expand(len(smoothed), -1, -1), shift.expand(len(smoothed), -1))
        correlation = module.window(posed) @ training.T
        best = correlation if best is None else torch.maximum(best, correlation)
    return best.numpy()
