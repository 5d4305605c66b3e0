"""The poses in which an image looks most like a population of images, whoever's: turned, zoomed and shifted.

Medical images of one kind lie alike. So the pose of a query needn't be tried against each training image: it is tried
against a few, and the few poses in which the query fits them best are left. An image that lies as they do keeps its
own.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from copylens.imaging.axes import orientations
from copylens.imaging.filters import no_larger
from copylens.imaging.warps import flips, look, places_of, planes, rotation, turns, warp

MEMBERS, FIRST = 48, 16  # of the population, at most, spread evenly; of these, that all poses are tried against
KEPT = 24  # poses that are tried against all members
LONGEST = 16, 8  # pixels that poses are compared at, in 2D and 3D
REACH = 4, 2  # of them, that an image is shifted
ZOOMS = ((0.6, 0.75, 0.87, 1.0, 1.15, 1.33), (1.0,))
REFINED = (1.0,), (0.8, 1.0, 1.2)  # zooms of the poses that are tried against all members
BETTER = 0.05  # margin by which a pose must fit better than the image's own
ALIKE = 0.1  # margin by which a mirrored one may fit worse, because bodies are symmetric
USUAL = 0.5  # share of the members whose own pose fits the others no better: such a pose is kept
IMAGES = 16  # looked at at a time
INSIDE = 0.97  # places further out show the repeated border
FEW = 2  # poses, the image's own included, that an image has if it lies like the population
TURNED, ZOOMED, SHIFTED = (180.0, 30.0), 0.3, 0.15  # largest, in 2D and 3D, of images that are laid unlike it


class Poses(NamedTuple):
    """How one image lies: matrices [pose, dims, dims] and shifts [pose, dims] as `copylens.imaging.warps.warp` has
    them, best first, and whether they are those of its negative."""

    matrices: torch.Tensor
    shifts: torch.Tensor
    inverted: bool


class Population:
    """Finds the poses of queries among members' maps [B, C, *grid], which change sign in a negative."""

    def __init__(self, maps_BC: torch.Tensor):
        sizes, dims = maps_BC.shape[2:], maps_BC.ndim - 2
        self.low, self.reach = no_larger(list(sizes), LONGEST[dims - 2]), REACH[dims - 2]
        self.matrices, self.mirrors = (matrices.to(maps_BC.device) for matrices in _poses(dims))
        members = self._pool(maps_BC[:: -(-len(maps_BC) // MEMBERS)])
        members = members - members.mean(dim=tuple(range(2, 2 + dims)), keepdim=True)
        self.members = self._shifted(members)  # [member, shift, C x pixel]
        self.middle = self.members.shape[1] // 2
        energy = members.square().sum(dim=1, keepdim=True)
        self.energy = self._shifted(energy)  # [member, shift, pixel]
        # The first look skips every other shift.
        self.shifts = torch.arange(self.members.shape[1])
        every = self.shifts.view([2 * self.reach + 1] * dims)
        self.first_shifts = every[(slice(None, None, 2),) * dims].flatten()
        self.first_members = slice(None, None, -(-len(members) // FIRST))
        self.look = self._look(self.matrices, self.first_members, self.first_shifts)
        self.look_mirrored = self._look(self.mirrors, slice(None), self.shifts)
        self.usual = self._usual(members)

    def __call__(self, maps_BC: torch.Tensor, n: int) -> list[Poses]:
        """At most `n` poses of each image [B, C, *grid], and whether it is a negative.

        Poses that fit better than its own, and mirrored ones that fit nearly as well. If its own fits as well as half
        of the members' do, these alone are tried.
        """
        pooled, found = self._pool(maps_BC), []
        for block in pooled.split(IMAGES):
            fits = self.look_mirrored(block)
            for number, image_C in enumerate(block.split(1)):
                found.append(self._poses(image_C, (fits[0][:, number], fits[1][:, number]), n))
        return found

    def _poses(self, pooled: torch.Tensor, fits: tuple[torch.Tensor, torch.Tensor], n: int) -> Poses:
        """The poses of one image, given how well it and its negative fit mirrored, each [mirror, shift]."""
        inverted, matrices = False, self.mirrors
        if fits[0][0, self.middle] < self.usual:
            kept, inverted = self._likely(pooled)
            close = self._look(kept, slice(None), self.shifts)(pooled)
            matrices = torch.cat([self.mirrors, kept])
            fits = torch.cat([fits[0], close[0][:, 0]]), torch.cat([fits[1], close[1][:, 0]])
        fit = fits[int(inverted)]
        best = fit.max(dim=1)
        least = torch.full_like(best.values, float(fit[0, self.middle]) + BETTER)
        least[1 : len(self.mirrors)] -= BETTER + ALIKE
        chosen = best.values.topk(min(n, len(matrices))).indices
        chosen = chosen[best.values[chosen] > least[chosen]]
        places = torch.unravel_index(best.indices[chosen], [2 * self.reach + 1] * len(self.low))
        # A member is like the image in this pose, but these pixels further.
        moved = torch.stack([place - self.reach for place in places[::-1]], dim=1).float()  # last axis first
        extent = torch.tensor(self.low[::-1], device=moved.device)
        return Poses(matrices[chosen], -(matrices[chosen] @ moved[..., None])[..., 0] / extent, inverted)

    def _likely(self, pooled: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Matrices of poses that may fit well, at a first look, and whether a negative does."""
        fits, negatives = (fit[:, 0] for fit in self.look(pooled))
        inverted = bool(negatives.max() > fits.max() + BETTER)
        best = (negatives if inverted else fits).amax(dim=1)
        matrices = self.matrices[best.topk(min(KEPT, len(best))).indices]
        zooms = torch.tensor(REFINED[len(self.low) - 2], device=matrices.device)
        return (zooms[:, None, None, None] * matrices).flatten(0, 1), inverted

    def _look(self, matrices: torch.Tensor, members: slice, shifts: torch.Tensor) -> "Look":
        return Look(matrices, self.low, self.members[members][:, shifts], self.energy[members][:, shifts])

    def _usual(self, members: torch.Tensor) -> float:
        """How well a member's own pose fits the others, as a quantile over members."""
        rows = functional.normalize(members.flatten(1), dim=1)
        alike = rows @ rows.T
        others = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        if len(rows) < 2:
            return torch.inf
        fits = _closest(alike[others].view(len(rows), -1, 1))[:, 0]
        return float(fits.quantile(USUAL))

    def _pool(self, maps_BC: torch.Tensor) -> torch.Tensor:
        pool: Callable = (functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)[maps_BC.ndim - 4]
        return pool(maps_BC, self.low)

    def _shifted(self, maps_BC: torch.Tensor) -> torch.Tensor:
        """Maps at each combination of shifts along the axes, [B, shift, C x pixel]."""
        dims = maps_BC.ndim - 2
        padded = functional.pad(maps_BC, [self.reach] * (2 * dims))
        for axis, size in enumerate(maps_BC.shape[2:], start=2):
            padded = padded.unfold(axis, size, 1)
        return padded.flatten(2, 1 + dims).transpose(1, 2).flatten(2)


class Look:
    """Compares images in some poses, matrices [pose, dims, dims], with shifted members.

    members: [member, shift, C x pixel] of `sizes`; energy: their squares, [member, shift, pixel].
    """

    def __init__(self, matrices: torch.Tensor, sizes: list[int], members: torch.Tensor, energy: torch.Tensor):
        self.places = places_of(torch.Size(sizes), matrices)
        # Which of them lie inside the image, [pose, 1, *sizes].
        self.seen = (self.places.abs().amax(dim=-1) < INSIDE).float()[:, None]
        self.members = members
        # One over the norm of each member, shifted, where each pose shows anything, [pose, 1, member, shift].
        shown = self.seen.flatten(1) @ energy.flatten(0, 1).T
        self.weight = shown.clamp(min=1e-6).rsqrt().view(len(matrices), 1, *energy.shape[:2])

    def __call__(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How well images [B, C, *sizes] and their negatives fit the members that are most alike, [pose, B, shift]."""
        inner = tuple(range(3, pooled.ndim + 1))
        together = pooled.flatten(0, 1)[None]
        low = look(together.expand(len(self.places), *together.shape[1:]), self.places)
        low, seen = low.unflatten(1, pooled.shape[:2]), self.seen[:, None]  # [pose, B, C, *sizes]
        low = low * seen
        low = (low - low.sum(inner, keepdim=True) / seen.sum(inner, keepdim=True)) * seen
        low = low / low.square().sum(dim=(2, *inner), keepdim=True).sqrt().clamp(min=1e-6)
        alike = low.flatten(0, 1).flatten(1) @ self.members.flatten(0, 1).T
        alike = alike.view(*low.shape[:2], *self.members.shape[:2]) * self.weight
        area = self.seen.flatten(1).mean(dim=1).sqrt()[:, None, None]
        return _closest(alike) * area, _closest(-alike) * area


def laid_anew(images_BC: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every image zoomed and shifted, every other one also turned."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    angles = TURNED[dims - 2] * (2 * torch.rand(batch, len(planes(dims)), generator=generator) - 1)
    angles[::2] = 0
    zoom = 1 + ZOOMED * (2 * torch.rand(batch, 1, 1, generator=generator) - 1)
    shift = SHIFTED * (2 * torch.rand(batch, dims, generator=generator) - 1)
    return warp(images_BC, zoom * rotation(torch.deg2rad(angles), dims), shift)


def _closest(alike: torch.Tensor) -> torch.Tensor:
    """The members' likeness [.., member, shift] as a mean that the closest ones dominate, in Fisher's z."""
    mean = alike.clamp(min=0).square_().square_().square_().mean(dim=-2)
    return torch.atanh(mean.pow(1 / 8).clamp(max=0.999))


def _poses(dims: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices of the poses that are tried, [pose, dims, dims], and of mirror images, the image as it is first."""
    mirrors = torch.diag_embed(torch.tensor(list(itertools.product((1.0, -1.0), repeat=dims))))
    if dims == 2:
        turned = turns(2, [float(degrees) for degrees in range(0, 180, 15)])
        every = torch.cat([turned, -torch.eye(2)[None]])
        every = torch.cat([every, every @ flips(2)[1]])
    else:
        angles = torch.tensor(list(itertools.product((-30.0, 0.0, 30.0), repeat=3)))
        quarters = torch.stack([torch.from_numpy(one.matrix) for one in orientations(3) if not one.inverted])
        every = (rotation(torch.deg2rad(angles), 3)[:, None] @ quarters).flatten(0, 1)
    every = torch.cat([zoom * every for zoom in ZOOMS[dims - 2]])
    others = torch.cdist(every.flatten(1), mirrors.flatten(1)).amin(dim=1) > 1e-3
    return every[others], mirrors
