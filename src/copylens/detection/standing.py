"""Which training images stand out in windows near their place: those that an image repeats, if only in part.

A copy that was turned, bent, dimmed, covered or mixed with another image still has windows that match far better than
those of any other image do. Which ones they are needn't be known: each window's correlations are measured against its
own with all other images, and the windows that stand out most count.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from copylens.detection.maps import FINE, SMOOTH, WIDE
from copylens.detection.shortlist import CoarseSearch
from copylens.imaging.windows import Windows, outstanding, shifted


class Grid(NamedTuple):
    """Windows at half the resolution: channels, size, step between them, number of components, and the largest shift
    along an axis at which they are matched."""

    channels: list[int]
    size: int
    step: int
    components: int
    reach: int


# In 2D and 3D: small windows and large ones.
GRIDS = (
    (Grid([FINE, SMOOTH], 5, 2, 32, 1), Grid([FINE, WIDE], 10, 4, 64, 4)),
    (Grid([FINE, SMOOTH], 3, 2, 32, 1), Grid([FINE, WIDE], 6, 3, 64, 2)),
)
MARGINS = (2, 1)  # of images at a quarter of the resolution, by which they are shifted in the coarse search
SHARES = (0.06, 0.2, 0.6)  # of the windows, in which an image stands out most
REGIONS = ((4,), (2,))  # small windows along each axis, in 2D and 3D
N_STANDING = 3 * len(SHARES) + 2 * len(REGIONS[0])


class View(NamedTuple):
    """An image in one pose: components of its windows, [window, shift, component], by grid of windows."""

    small: torch.Tensor
    large: torch.Tensor
    coarse: torch.Tensor  # the whole image at each shift, [shift, channel, *coarse]; empty without a shortlist


class Stood(NamedTuple):
    """How far images stand out in each pose, [pose, N_STANDING, image], and how well they match it, [pose, image]."""

    out: torch.Tensor
    fit: torch.Tensor


class Standing:
    """Windows of T training images, given as maps at half the resolution [T, channel, *grid].

    Candidates, which are alike, are measured against members [B, channel, *grid] of the training images, too. Above
    `shortlist` training images a coarse search leaves so many.
    """

    def __init__(self, maps_TC: torch.Tensor, members_BC: torch.Tensor, shortlist: int):
        dims = maps_TC.ndim - 2
        self.n, self.regions, self.grids = len(maps_TC), REGIONS[dims - 2], GRIDS[dims - 2]
        self.windows = [_windows(maps_TC, grid) for grid in self.grids]
        self.members = [
            windows.code(members_BC[:, grid.channels]).mT
            for windows, grid in zip(self.windows, self.grids, strict=True)
        ]
        self.margin, self.n_listed = MARGINS[dims - 2], shortlist
        self.search = CoarseSearch(self._coarse(maps_TC)) if self.n > shortlist else None
        self.all = [] if self.search else [windows.of(slice(None)).contiguous() for windows in self.windows]

    def view(self, map_C: torch.Tensor) -> View:
        """The windows of an image's maps [1, channel, *grid] in one pose."""
        small, large = (
            windows.code(shifted(map_C[:, grid.channels], grid.reach))
            for windows, grid in zip(self.windows, self.grids, strict=True)
        )
        return View(small, large, self._coarse(map_C, shifted=True) if self.search else torch.empty(0))

    def shortlist(self, views: list[View]) -> torch.Tensor:
        """The training images that an image may repeat, in order, [n]: all of them if they are few."""
        if self.search is None:
            return torch.arange(self.n, device=views[0].small.device)
        coarse = torch.cat([view.coarse for view in views])
        return self.search(coarse, len(coarse)).topk(self.n_listed).indices.sort().values

    def __call__(self, views: list[View], rows: torch.Tensor, among_members: bool = False) -> Stood:
        """How far some training images [n] stand out among each other, or also among the members."""
        is_all = self.all and len(rows) == self.n and not among_members
        codes = self.all if is_all else [windows.of(rows) for windows in self.windows]
        if among_members:
            codes = [torch.cat(both, dim=2) for both in zip(codes, self.members, strict=True)]
        by_pose = [self._stand(view, codes) for view in views]
        out, fit = (torch.stack(parts)[..., : len(rows)] for parts in zip(*by_pose, strict=True))
        return Stood(out, fit)

    def _coarse(self, maps_BC: torch.Tensor, shifted: bool = False) -> torch.Tensor:
        """Maps at half of their resolution, without the margin: [B, channel, *coarse], or of one at each shift."""
        sizes = maps_BC.shape[2:]
        pool: Callable = (functional.avg_pool2d, functional.avg_pool3d)[len(sizes) - 2]
        pooled = pool(maps_BC, [1 + (size >= 4) for size in sizes])
        for axis, size in enumerate(pooled.shape[2:], start=2):
            margin = max(0, min(self.margin, (size - 2) // 2))
            if shifted:
                pooled = pooled.unfold(axis, size - 2 * margin, 1)
            else:
                pooled = pooled.narrow(axis, margin, size - 2 * margin)
        return pooled.flatten(2, 1 + len(sizes))[0].movedim(1, 0) if shifted else pooled

    def _stand(self, view: View, codes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        small, large = (own @ others for own, others in zip((view.small, view.large), codes, strict=True))
        middle, best, far = small[:, small.shape[1] // 2], small.amax(dim=1), large.amax(dim=1)
        small_shape, large_shape = (windows.shape for windows in self.windows)
        in_place = outstanding(middle.unflatten(0, small_shape), SHARES, self.regions)
        near = outstanding(best.unflatten(0, small_shape), SHARES, self.regions)
        wide = outstanding(far.unflatten(0, large_shape), SHARES)
        n = len(SHARES)
        return torch.cat([in_place[:n], near[:n], wide, in_place[n:], near[n:]]), best.mean(dim=0) + far.mean(dim=0)


def _windows(maps_BC: torch.Tensor, grid: Grid) -> Windows:
    return Windows(maps_BC[:, grid.channels], grid.size, grid.step, grid.components)


def ranked(out: torch.Tensor) -> torch.Tensor:
    """Similarity for ranking, [n], of `Stood.out` by pose, the image's own first.

    The images that stand out most in any of several ways come first, in turn.
    """
    n = len(SHARES)
    in_place, near, wide, regions = out[:1, :n], out[:, n : 2 * n], out[:, 2 * n : 3 * n], out[:, 3 * n :]
    ways = (out.mean(dim=1), regions.amax(dim=1), wide[:, -1], near[:, -1], in_place[:, 0], in_place[:, 1])
    ranks = torch.stack([way.amax(dim=0).argsort(descending=True, stable=True).argsort() for way in ways]).float()
    return -ranks.amin(dim=0) - 1e-4 * ranks.mean(dim=0).clamp(max=1e3)
