"""Correlation of smoothed pixels in the central window, the largest over flips, turns, crops and shifts of the query.

No training: the search undoes the rigid part of a copy's transform. Among many training images a coarse search first
selects those to correlate.
"""

import functools
from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from copylens.detection.shortlist import CoarseSearch, ranked
from copylens.imaging.correlation import standardise
from copylens.imaging.filters import no_larger, resize, smooth
from copylens.imaging.orientation import Orienter
from copylens.imaging.warps import flips, look, places_of, turns
from copylens.training.module import Untrained

COARSE = 14, 7  # pixels a side of the window, or nearly, in the coarse search in 2D and 3D

SETTINGS = """
properties:
  # Images are compared with at most this many pixels along the longest side.
  size_2d: {type: integer, minimum: 8, default: 64}
  size_3d: {type: integer, minimum: 8, default: 32}
  # Standard deviation of the smoothing, in pixels, and the share of each side that is the window.
  smoothing: {$ref: "#/$defs/weight", default: 1.0}
  window: {$ref: "#/$defs/share", default: 0.75}
  # Poses: turned by these angles about each axis, and shrunk to these shares.
  degrees_2d: {type: array, items: {type: number}, minItems: 1, default: [0, 5, 10, 15, 20]}
  degrees_3d: {type: array, items: {type: number}, minItems: 1, default: [0, 10, 20]}
  shrinking: {type: array, items: {$ref: "#/$defs/positive"}, minItems: 1, default: [1.0, 0.9, 0.8]}
  # Further poses: shifted by this share of each side, both ways along every axis, at the two smallest angles.
  shift: {$ref: "#/$defs/share", default: 0.05}
  neighbours: {$ref: "#/$defs/count", default: 50}
  # Above this number of training images a coarse search comes first, and leaves this many for the full comparison.
  shortlist: {$ref: "#/$defs/count", default: 256}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


class AlignedCorrelation(Untrained):
    """Images [B, 1, *grid] to the standardised pixels of their smoothed central windows [B, d]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        dims = len(grid)
        self.grid = no_larger(grid, settings["size_2d" if dims == 2 else "size_3d"])
        degrees = settings["degrees_2d" if dims == 2 else "degrees_3d"]
        still = torch.zeros(1, dims)
        steps = torch.cartesian_prod(*[settings["shift"] * torch.tensor([-1.0, 0, 1])] * dims)
        crops = torch.cat([turns(dims, degrees) / share for share in settings["shrinking"]])
        moved = turns(dims, sorted(degrees, key=abs)[:2])
        self.poses = [(flip @ turn, still) for flip in flips(dims) for turn in crops]
        self.poses += [(flip @ turn, shift[None]) for flip in flips(dims) for turn in moved for shift in steps]
        margins = [round(size * (1 - settings["window"]) / 2) for size in self.grid]
        self.inside = [slice(margin, size - margin) for margin, size in zip(margins, self.grid, strict=True)]

    @functools.cached_property
    def places(self) -> torch.Tensor:
        """Sampling positions in the image for the central window of each pose, [pose, *window, dims]."""
        matrices, shifts = zip(*self.poses, strict=True)
        return places_of(torch.Size(self.grid), torch.stack(matrices), torch.cat(shifts))[(slice(None), *self.inside)]

    def smoothed(self, images_BC: torch.Tensor) -> torch.Tensor:
        width = self.settings["smoothing"]
        images_BC = resize(images_BC, self.grid)
        return smooth(images_BC, [width] * len(self.grid)) if width else images_BC

    def coarse(self, windows_BC: torch.Tensor) -> torch.Tensor:
        """Central windows at the coarse search's resolution, [B, 1, *coarse]."""
        dims = len(self.grid)
        pool = (functional.avg_pool2d, functional.avg_pool3d)[dims - 2]
        return pool(windows_BC, [max(1, round(size / COARSE[dims - 2])) for size in windows_BC.shape[2:]])


def build(settings: dict, grid: list[int]) -> AlignedCorrelation:
    """A detector for images of shape `grid`."""
    return AlignedCorrelation(settings, grid)


def lay(training: Iterable[torch.Tensor]) -> Orienter:
    """An orienter that turns queries to the orientation of training images, given in batches [B, 1, *grid]."""
    return Orienter(training)


@torch.no_grad()
def embed(module: AlignedCorrelation, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    return standardise(module.smoothed(images_BC)[(slice(None), slice(None), *module.inside)].flatten(1)).cpu()


@torch.no_grad()
def compare(module: AlignedCorrelation, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """The largest correlation over all poses, [B, T], of images with training images given by embeddings [T, d].

    Training images off an image's shortlist rank below those on it, in the coarse search's order.
    """
    training = torch.from_numpy(np.asarray(embeddings))
    smoothed, n = module.smoothed(images_BC), module.settings["shortlist"]
    if len(training) <= n:
        views = (look(smoothed, places.expand(len(smoothed), *places.shape)) for places in module.places)
        correlations = (standardise(windows.flatten(1)) @ training.T for windows in views)
        return functools.reduce(torch.maximum, correlations).numpy()
    search = CoarseSearch(module.coarse(training.view(-1, 1, *module.places.shape[1:-1])))
    similarities = []
    for query in smoothed.split(1):
        windows = look(query.expand(len(module.places), *query.shape[1:]), module.places)
        rows = standardise(windows.flatten(1))

        def closely(shortlist, rows=rows):
            return (rows @ training[shortlist].T).amax(dim=0)

        similarities.append(ranked(search(module.coarse(windows)), n, closely))
    return torch.stack(similarities).numpy()
