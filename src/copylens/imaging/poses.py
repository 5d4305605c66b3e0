"""The poses in which an image looks most like a population of images, whoever's: turned, zoomed and shifted.

Medical images of one kind lie alike. So the pose of a query needn't be tried against each training image: it is tried
against a few, and the few poses in which the query fits them best are left.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from copylens.imaging.filters import no_larger
from copylens.imaging.warps import flips, look, places_of, turns

MEMBERS = 48  # of the population, at most, spread evenly
LONGEST = 16, 8  # pixels that poses are compared at, in 2D and 3D
REACH = 4, 2  # of them, that an image is shifted
CLOSEST = 5  # members whose mean likeness counts
ZOOMS = ((0.6, 0.75, 0.87, 1.0, 1.15, 1.33), (0.8, 1.0, 1.2))
DEGREES = (tuple(range(0, 181, 15)), (0, 15, 30))
BETTER = 0.05  # margin by which a pose must fit better than the image's own
INSIDE = 0.97  # places further out show the repeated border


class Population:
    """Finds the poses of queries among members' maps [B, C, *grid]."""

    def __init__(self, maps_BC: torch.Tensor):
        sizes, dims = maps_BC.shape[2:], maps_BC.ndim - 2
        self.low, self.reach = no_larger(list(sizes), LONGEST[dims - 2]), REACH[dims - 2]
        mirrors = flips(dims)[: 2 if dims == 2 else 1]
        turned = turns(dims, list(DEGREES[dims - 2]))
        matrices = torch.cat([zoom * turned @ mirror for zoom in ZOOMS[dims - 2] for mirror in mirrors])
        self.own = int((matrices - torch.eye(dims)).flatten(1).norm(dim=1).argmin())
        self.matrices = matrices.to(maps_BC.device)
        self.places = places_of(sizes, self.matrices)
        self.inside = (self.places.abs().amax(dim=-1) < INSIDE).float()[:, None]
        self.seen = self._pool(self.inside)  # [pose, 1, *low]
        members = self._pool(maps_BC[:: -(-len(maps_BC) // MEMBERS)])
        members = members - members.mean(dim=tuple(range(2, 2 + dims)), keepdim=True)
        self.members = functional.pad(members, [self.reach] * (2 * dims))
        self.energy = self._correlate(self.members.square().sum(dim=1, keepdim=True), self.seen).clamp(min=1e-6)

    def __call__(self, map_C: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """At most `n` poses of one image [1, C, *grid] that fit best: matrices [pose, dims, dims], shifts [pose, dims].

        Both are as `copylens.imaging.warps.warp` has them. Only poses that fit better than the image's own.
        """
        alike = self._fits(map_C)
        fit = _closest(alike).flatten(1)  # [pose, shift]
        best = fit.max(dim=1)
        chosen = best.values.topk(min(n, len(self.matrices))).indices
        own = fit[self.own, fit.shape[1] // 2]
        chosen = chosen[best.values[chosen] > own + BETTER]
        places = torch.unravel_index(best.indices[chosen], alike.shape[2:])
        shifts = [(place - self.reach) / size for place, size in zip(places, self.low, strict=True)]
        return self.matrices[chosen], torch.stack(shifts[::-1], dim=1).float()

    def is_inverted(self, map_C: torch.Tensor) -> bool:
        """Whether the negative of one image's maps [1, C, *grid] fits better than they do, in any pose."""
        alike = self._fits(map_C)
        return bool(_closest(-alike).max() > _closest(alike).max() + BETTER)

    def _fits(self, map_C: torch.Tensor) -> torch.Tensor:
        """The likeness to each member in each pose and shift, [member, pose, *shift]."""
        dims = map_C.ndim - 2
        axes = tuple(range(2, 2 + dims))
        posed = look(map_C.expand(len(self.places), *map_C.shape[1:]), self.places) * self.inside
        low = self._pool(posed)
        low = (low - low.sum(axes, keepdim=True) / self.seen.sum(axes, keepdim=True)) * self.seen
        norm = low.square().sum(dim=(1, *axes)).sqrt().view(1, -1, *[1] * dims)
        alike = self._correlate(self.members, low) / (self.energy.sqrt() * norm).clamp(min=1e-6)
        area = self.seen.mean(dim=(1, *axes)).view(1, -1, *[1] * dims)
        return torch.atanh(alike.clamp(-0.999, 0.999)) * area.sqrt()

    def _pool(self, maps_BC: torch.Tensor) -> torch.Tensor:
        pool: Callable = (functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)[maps_BC.ndim - 4]
        return pool(maps_BC, self.low)

    def _correlate(self, maps_BC: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """Inner products at every shift, [B, kernel, *shift]."""
        convolve = (functional.conv2d, functional.conv3d)[maps_BC.ndim - 4]
        return convolve(maps_BC, kernels)


def _closest(alike: torch.Tensor) -> torch.Tensor:
    """The mean over the members that are most alike, [pose, *shift]."""
    return alike.topk(min(CLOSEST, len(alike)), dim=0).values.mean(dim=0)
