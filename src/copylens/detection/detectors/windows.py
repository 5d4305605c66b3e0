"""Small windows matched near their place, in the poses in which an image looks like the training images.

The poses of a query are found once, against some training images (`copylens.imaging.poses`). In each of them the
query's windows are matched with those of all training images near the same place (`copylens.imaging.windows`): the
images that stand out in many windows, or far in a few, are candidates. Each candidate is then registered to the query,
and compared once more, window by window and as a whole. The score is how far a candidate stands out from the query's
other candidates, in the features in which it does most.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch

from copylens.detection.likeness import N_LIKENESSES, likenesses
from copylens.detection.maps import (
    EDGE,
    FINE,
    HALF_STEPS,
    N_CHANNELS,
    SMOOTH,
    STEPS,
    WIDE,
    WINDOWS,
    halve,
    inside,
    maps_of,
    matched_windows,
)
from copylens.imaging.filters import no_larger
from copylens.imaging.orientation import Orienter
from copylens.imaging.poses import MEMBERS, Population
from copylens.imaging.registration import align
from copylens.imaging.warps import warp
from copylens.imaging.windows import match_windows, outstanding, windows_of
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
properties:
  seed: {type: integer, minimum: 0, default: 0}
  # Images are compared with at most this many pixels along the longest side.
  size_2d: {type: integer, minimum: 16, default: 64}
  size_3d: {type: integer, minimum: 16, default: 32}
  # Number of poses besides the image's own.
  poses: {type: integer, minimum: 0, default: 6}
  # Number of training images from which the null distribution is learnt.
  examples: {type: integer, minimum: 2, default: 60}
  # Number of candidates that each image is compared with.
  neighbours: {$ref: "#/$defs/count", default: 24}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""

CANDIDATES = 24  # of each image while `fit` learns the null distribution: the default of `neighbours`
FITTED = 400  # training images, at most, among which it finds them


class Grid(NamedTuple):
    """Windows at half the resolution: their channels, their size, the step between them, their shifts along an axis."""

    channels: list[int]
    size: int
    step: int
    shifts: tuple[int, ...]


SMALL, LARGE = [FINE, SMOOTH], [FINE, WIDE]
GRIDS = (
    (Grid(SMALL, 5, 2, (0,)), Grid(SMALL, 5, 2, (-1, 0, 1)), Grid(LARGE, 10, 4, tuple(range(-4, 5)))),
    (Grid(SMALL, 3, 2, (0,)), Grid(SMALL, 3, 2, (-1, 0, 1)), Grid(LARGE, 6, 3, (-2, -1, 0, 1, 2))),
)
STANDING = (0.06, 0.2, 0.6)  # shares of the windows, in which an image stands out most
N_STANDING = 3 * len(STANDING)
SHARES = (0.06, 0.15, 0.4, 0.7)  # of the registered windows, the best ones, whose mean correlation is a feature
N_FEATURES = len(SHARES) + 2 * N_LIKENESSES + N_STANDING
# A transform spoils some features of a copy and keeps others: this many of the strongest count, each to this height.
BEST, HIGHEST = 10, 15.0


class Windows(TrainedModule):
    """Images are [B, 1, *grid] in [0, 1]. An embedding is each channel of the image at half the resolution."""

    members: torch.Tensor
    spread: torch.Tensor

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.dims = len(grid)
        self.grid = no_larger(grid, settings["size_2d" if self.dims == 2 else "size_3d"], multiple=2)
        self.halved = [size // 2 for size in self.grid]
        self.grids = [grid._replace(size=min(grid.size, *self.halved)) for grid in GRIDS[self.dims - 2]]
        # Some training images' maps, and the standard deviation of each feature under the null.
        self.register_buffer("members", torch.zeros(1, N_CHANNELS, *self.halved))
        self.register_buffer("spread", torch.ones(N_FEATURES))

    @functools.cached_property
    def population(self) -> Population:
        return Population(self.members[:, WIDE:])

    def upright(self, images_BC: torch.Tensor) -> torch.Tensor:
        """The maps of images, those with inverted grey values inverted again, [B, channel, *grid]."""
        normalised = maps_of(images_BC, self.grid)
        maps = halve(normalised)[:, WIDE:]
        inverted = torch.tensor([self.population.is_inverted(map_C) for map_C in maps.split(1)])
        if inverted.any():
            normalised[inverted] = maps_of(1 - images_BC[inverted], self.grid)
        return normalised

    def windows(self, maps_BC: torch.Tensor) -> list[torch.Tensor]:
        """The windows of maps at half the resolution, by grid of windows."""
        return [windows_of(maps_BC[:, channels], size, step) for channels, size, step, _ in self.grids]

    def posed(self, map_C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Matrices and shifts of the image's own pose, then of those that fit the training images best."""
        own = torch.eye(self.dims, device=map_C.device)[None], torch.zeros(1, self.dims, device=map_C.device)
        found = self.population(map_C[:, WIDE:], self.settings["poses"])
        return torch.cat([own[0], found[0]]), torch.cat([own[1], found[1]])

    def standing(self, map_C: torch.Tensor, poses: tuple, windows: list[torch.Tensor]) -> torch.Tensor:
        """How far each of T images, given by its windows, stands out in each pose, [pose, N_STANDING, T]."""
        by_pose: list[torch.Tensor] = []
        for matrix, shift in zip(*poses, strict=True):
            view = warp(map_C, matrix[None], shift[None]) if by_pose else map_C
            by_grid = [
                outstanding(match_windows(view[:, channels], of_grid, size, step, steps), STANDING)
                for (channels, size, step, steps), of_grid in zip(self.grids, windows, strict=True)
            ]
            by_pose.append(torch.cat(by_grid))
        return torch.stack(by_pose)

    def features(self, normalised: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Features of each candidate less their median over candidates, [k, feature].

        One query [1, channel, *grid] and its candidates [k, channel, *grid], all normalised.
        """
        map_C, k = halve(normalised), len(candidates)
        poses = self.posed(map_C)
        # Candidates are alike: among others, too, a copy stands out more.
        among = self.windows(torch.cat([halve(candidates), self.members]))
        standing = self.standing(map_C, poses, among)[..., :k]
        best = standing.mean(dim=1).argmax(dim=0)  # [k]
        moved, windows = self.registered(normalised, candidates, poses[0][best], poses[1][best])
        values = windows.sort(dim=1, descending=True).values
        means = [values[:, : max(1, round(share * values.shape[1]))].mean(dim=1) for share in SHARES]
        local = [torch.atanh(mean.clamp(-0.999, 0.999)) for mean in means]
        within = inside(self.grid)
        channels, width = (FINE, SMOOTH), WINDOWS[self.dims - 2][0]
        in_place = likenesses(normalised.expand_as(candidates), candidates, channels, width)
        registered = likenesses(moved[within], candidates[within], channels, width)
        features = torch.stack([*local, *in_place, *registered, *standing.amax(dim=0)], dim=1)
        return features - features.median(dim=0).values

    def registered(self, normalised, candidates, matrix, shift) -> tuple[torch.Tensor, torch.Tensor]:
        """The query registered to each candidate from a pose of its own, [k, channel, *grid], and windows [k, window].

        Windows: the correlation of each window of a candidate with its match in the query, registered or posed.
        """
        k = len(candidates)
        moving, fixed = normalised[:, SMOOTH:].expand(k, -1, *self.grid), candidates[:, SMOOTH:]
        started = align(halve(moving), halve(fixed), matrix, shift, EDGE, HALF_STEPS)
        found = align(moving, fixed, started[0], started[1], EDGE, STEPS)
        whole = normalised.expand(k, -1, *self.grid)
        moved = warp(whole, found[0], found[1])
        # Registration of the whole image may be worse than the pose for a part of it.
        posed = warp(whole[:, :1], matrix, shift)
        return moved, matched_windows((posed, moved[:, :1]), candidates).flatten(1)

    def weights(self):
        return {"members": self.members, "spread": self.spread}

    def load_weights(self, weights):
        self.members, self.spread = weights["members"], weights["spread"]


def build(settings: dict, grid: list[int]) -> Windows:
    """A detector for images of shape `grid`; `fit` gives it the population and the null distribution."""
    return Windows(settings, grid)


@torch.no_grad()
def fit(module: Windows, images_BC: torch.Tensor) -> None:
    """Keep some training images' maps, and learn the features' spread from training images [B, 1, *grid]."""
    generator = torch.Generator().manual_seed(derive_seed(module.settings["seed"], "examples"))
    drawn = torch.randperm(len(images_BC), generator=generator)
    normalised = maps_of(images_BC[drawn[:FITTED]], module.grid)
    maps = halve(normalised)
    module.members = maps[:MEMBERS].clone()
    windows, features = module.windows(maps), []
    for number in range(min(len(maps), module.settings["examples"])):
        near = _ranked(module.standing(maps[number : number + 1], module.posed(maps[number : number + 1]), windows))
        near[number] = -torch.inf
        k = min(CANDIDATES, len(near) - 1)
        features.append(module.features(normalised[number : number + 1], normalised[near.topk(k).indices]))
    module.spread = torch.cat(features).std(dim=0).clamp(min=1e-3)


def lay(training: Iterable[torch.Tensor]) -> Callable[[torch.Tensor], tuple]:
    """Turns volumes to the orientation of training images, given in batches [B, 1, *grid]; 2D images stay as they are.

    `copylens.imaging.poses` tries all turns in 2D, and small ones alone in 3D.
    """
    batches = iter(training)
    first = next(batches)
    if first.ndim == 5:
        return Orienter(itertools.chain([first], batches))
    return lambda images_BC: (images_BC,)


@torch.no_grad()
def embed(module: Windows, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    chunks = images_BC.split(module.settings["batch_size"])
    return torch.cat([halve(maps_of(chunk.to(module.device), module.grid)).flatten(1).cpu() for chunk in chunks])


@torch.no_grad()
def compare(module: Windows, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """Similarity [B, T] of images to training images, given by their embeddings [T, d], for ranking."""
    maps = torch.from_numpy(np.asarray(embeddings)).to(module.device).unflatten(1, (N_CHANNELS, *module.halved))
    windows = module.windows(maps)
    queries = halve(module.upright(images_BC.to(module.device)))
    ranked = [_ranked(module.standing(one, module.posed(one), windows)) for one in queries.split(1)]
    return torch.stack(ranked).cpu().numpy()


def _ranked(standing: torch.Tensor) -> torch.Tensor:
    """Similarity for ranking, [T]: the images that stand out most in any of several ways come first, in turn."""
    fixed, large = standing[:1, : len(STANDING)], standing[:, -len(STANDING) :]
    ways = (standing.mean(dim=1), large[:, -1], standing[:, 2 * len(STANDING) - 1], fixed[:, 0], fixed[:, 1])
    ranks = [way.amax(dim=0).argsort(descending=True, stable=True).argsort() for way in ways]
    return -torch.stack(ranks).float().amin(dim=0) - 1e-4 * torch.stack(ranks).float().mean(dim=0).clamp(max=1e3)


@torch.no_grad()
def verify(module: Windows, image_C: torch.Tensor, candidates_BC: torch.Tensor) -> np.ndarray:
    """How far each candidate [k, 1, *grid] stands out as the source of an image [1, *grid], [k]."""
    image, candidates = image_C[None].to(module.device), candidates_BC.to(module.device)
    apart = module.features(module.upright(image), maps_of(candidates, module.grid)) / module.spread
    return apart.clamp(max=HIGHEST).topk(BEST, dim=1).values.sum(dim=1).cpu().numpy()
