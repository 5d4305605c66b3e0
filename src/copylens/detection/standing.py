"""Which training images stand out in windows near their place: those that an image repeats, if only in part.

A copy that was turned, bent, dimmed, covered or mixed with another image still has windows that match far better than
those of any other image do. Which ones they are needn't be known: each window's correlations are measured against its
own with all other images, and the windows that stand out most count.
"""

from typing import NamedTuple

import torch

from copylens.detection.maps import FINE, SMOOTH, WIDE
from copylens.imaging.windows import Windows, deviations, outstanding, shifted


class Grid(NamedTuple):
    """Windows at half the resolution: channels, size, step between them, number of components, and the largest shift
    along an axis at which they are matched."""

    channels: list[int]
    size: int
    step: int
    components: int
    reach: int


# In 2D and 3D: small windows, large ones, and few that leave a shortlist.
GRIDS = (
    (Grid([FINE, SMOOTH], 5, 2, 32, 1), Grid([FINE, WIDE], 10, 4, 64, 4)),
    (Grid([FINE, SMOOTH], 3, 2, 32, 1), Grid([FINE, WIDE], 6, 3, 64, 2)),
)
COARSE = (Grid([FINE, WIDE, SMOOTH], 8, 4, 16, 0), Grid([FINE, WIDE, SMOOTH], 4, 2, 16, 0))
SHARES = (0.06, 0.2, 0.6)  # of the windows, in which an image stands out most
REGIONS = (4, 6), (2, 3)  # small windows along each axis, in 2D and 3D
N_STANDING = 3 * len(SHARES) + 2 * len(REGIONS[0])
SURELY = 1.5  # deviations above which a coarse window counts for a part of the image
LEARNT_FROM = 512  # training images, at most, that coarse windows' deviations are learnt from


class View(NamedTuple):
    """Components of an image's windows in one pose, [window, shift, component], by grid of windows."""

    small: torch.Tensor
    large: torch.Tensor
    coarse: torch.Tensor  # empty without a shortlist


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
        self.coarse = _Coarse(maps_TC, COARSE[dims - 2], shortlist) if self.n > shortlist else None
        self.all = [] if self.coarse else [windows.of(slice(None)).contiguous() for windows in self.windows]

    def view(self, map_C: torch.Tensor) -> View:
        """The windows of an image's maps [1, channel, *grid] in one pose."""
        small, large = (
            windows.code(shifted(map_C[:, grid.channels], grid.reach))
            for windows, grid in zip(self.windows, self.grids, strict=True)
        )
        return View(small, large, self.coarse.code(map_C) if self.coarse else torch.empty(0))

    def shortlist(self, views: list[View]) -> torch.Tensor:
        """The training images that an image may repeat, in order, [n]: all of them if they are few."""
        if self.coarse is None:
            return torch.arange(self.n, device=views[0].small.device)
        return self.coarse([view.coarse for view in views])

    def __call__(self, views: list[View], rows: torch.Tensor, among_members: bool = False) -> Stood:
        """How far some training images [n] stand out among each other, or also among the members."""
        is_all = self.all and len(rows) == self.n and not among_members
        codes = self.all if is_all else [windows.of(rows) for windows in self.windows]
        if among_members:
            codes = [torch.cat(both, dim=2) for both in zip(codes, self.members, strict=True)]
        by_pose = [self._stand(view, codes) for view in views]
        out, fit = (torch.stack(parts)[..., : len(rows)] for parts in zip(*by_pose, strict=True))
        return Stood(out, fit)

    def _stand(self, view: View, codes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        small, large = (own @ others for own, others in zip((view.small, view.large), codes, strict=True))
        middle, best, far = small[:, small.shape[1] // 2], small.amax(dim=1), large.amax(dim=1)
        small_shape, large_shape = (windows.shape for windows in self.windows)
        in_place = outstanding(middle.unflatten(0, small_shape), SHARES, self.regions)
        near = outstanding(best.unflatten(0, small_shape), SHARES, self.regions)
        wide = outstanding(far.unflatten(0, large_shape), SHARES)
        n = len(SHARES)
        return torch.cat([in_place[:n], near[:n], wide, in_place[n:], near[n:]]), best.mean(dim=0) + far.mean(dim=0)


class _Coarse:
    """Few windows of T training images' maps [T, channel, *grid], which leave a shortlist of `n`."""

    def __init__(self, maps_TC: torch.Tensor, grid: Grid, n: int):
        self.windows, self.channels, self.n = _windows(maps_TC, grid), grid.channels, n
        self.codes = self.windows.of(slice(None)).contiguous()
        self.learnt_from = slice(None, None, -(-len(maps_TC) // LEARNT_FROM))

    def code(self, map_C: torch.Tensor) -> torch.Tensor:
        """Components of the windows of an image's maps [1, channel, *grid], [window, 1, component]."""
        return self.windows.code(map_C[:, self.channels])

    def __call__(self, views: list[torch.Tensor]) -> torch.Tensor:
        """Of one image, given by `code` in each pose, the training images that may be alike, in order.

        Half of them stand out as a whole, half in some windows, in any pose.
        """
        by_pose = []
        for view in views:
            z = deviations((view @ self.codes)[:, 0], 1e-3, self.learnt_from)
            part = (z - SURELY).clamp_(min=0).mean(dim=0)
            by_pose.append(deviations(torch.stack([z.mean(dim=0), part]), 1e-3, self.learnt_from))
        best = torch.stack(by_pose).amax(dim=0)
        return best.topk(max(1, self.n // 2), dim=1).indices.unique()


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
