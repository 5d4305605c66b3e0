"""Which training images stand out in windows near their place: those that an image repeats, if only in part.

A copy that was turned, bent, dimmed, covered or mixed with another image still has windows that match far better than
those of any other image do. Which ones they are needn't be known: each window's correlations are measured against its
own with all other images, and the windows that stand out most count.
"""

from typing import NamedTuple

import torch

from copylens.detection.maps import FINE, SMOOTH, WIDE
from copylens.detection.shortlist import CoarseSearch
from copylens.imaging.filters import halve
from copylens.imaging.windows import Windows, fisher, outstanding, shifted


class Grid(NamedTuple):
    """Windows at half the resolution: channels, size, step between them, number of components, and the largest shift
    along an axis at which they are matched, and the step between shifts."""

    channels: list[int]
    size: int
    step: int
    components: int
    reach: int
    stride: int


# In 2D and 3D: small windows and large ones.
GRIDS = (
    (Grid([FINE, SMOOTH], 5, 2, 32, 1, 1), Grid([FINE, WIDE], 10, 4, 64, 4, 2)),
    (Grid([FINE, SMOOTH], 3, 2, 32, 1, 1), Grid([FINE, WIDE], 6, 3, 64, 2, 1)),
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


class Matched(NamedTuple):
    """Windows of one image in some poses, matched with those of training images [n] and then of all members.

    Fisher's z of the correlation of each window, [pose, *windows, n + member]: of small windows in place, and of small
    and large ones where they match best near it.
    """

    rows: torch.Tensor  # of the training images, in order
    middle: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor

    def out(self, chosen: torch.Tensor | slice) -> torch.Tensor:
        """How far images, chosen by their positions, stand out among each other, [pose, N_STANDING, chosen]."""
        n, regions, parts = len(SHARES), REGIONS[self.middle.ndim - 4], []
        for middle, near, far in zip(*(found[..., chosen] for found in self[1:]), strict=True):
            in_place, best = outstanding(middle, SHARES, regions), outstanding(near, SHARES, regions)
            parts.append(torch.cat([in_place[:n], best[:n], outstanding(far, SHARES), in_place[n:], best[n:]]))
        return torch.stack(parts)

    def fit(self, chosen: torch.Tensor) -> torch.Tensor:
        """How well images, chosen by their positions, match each pose, [pose, chosen]."""
        near, far = (torch.tanh(found[..., chosen]).flatten(1, -2).mean(dim=1) for found in (self.near, self.far))
        return near + far


class Standing:
    """Windows of T training images, given as maps at half the resolution [T, channel, *grid].

    Candidates, which are alike, are measured against members [B, channel, *grid] of the training images, too. Above
    `shortlist` training images a coarse search leaves so many.
    """

    def __init__(self, maps_TC: torch.Tensor, members_BC: torch.Tensor, shortlist: int):
        dims = maps_TC.ndim - 2
        self.n, self.grids = len(maps_TC), GRIDS[dims - 2]
        self.windows = [_windows(maps_TC, grid) for grid in self.grids]
        self.members = [
            windows.code(members_BC[:, grid.channels]).mT
            for windows, grid in zip(self.windows, self.grids, strict=True)
        ]
        self.margin, self.n_listed = MARGINS[dims - 2], shortlist
        self.search = CoarseSearch(self._coarse(maps_TC)) if self.n > shortlist else None
        self.all = [] if self.search else self._codes(torch.arange(self.n, device=maps_TC.device))

    def view(self, map_C: torch.Tensor) -> View:
        """The windows of an image's maps [1, channel, *grid] in one pose."""
        small, large = (
            windows.code(shifted(map_C[:, grid.channels], grid.reach, grid.stride))
            for windows, grid in zip(self.windows, self.grids, strict=True)
        )
        return View(small, large, self._coarse(map_C, shifted=True) if self.search else torch.empty(0))

    def shortlist(self, views: list[View]) -> torch.Tensor:
        """The training images that an image may repeat, in order, [n]: all of them if they are few."""
        if self.search is None:
            return torch.arange(self.n, device=views[0].small.device)
        coarse = torch.cat([view.coarse for view in views])
        return self.search(coarse, len(coarse)).topk(self.n_listed).indices.sort().values

    def match(self, views: list[View], rows: torch.Tensor) -> Matched:
        """Windows of an image matched with those of some training images [n], in order, and of the members."""
        codes = self.all if self.all and len(rows) == self.n else self._codes(rows)
        by_pose = [self._match(view, codes) for view in views]
        return Matched(rows, *(torch.stack(parts) for parts in zip(*by_pose, strict=True)))

    def among_members(
        self, views: list[View], matched: Matched, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`Matched.out` and `Matched.fit` of some training images [k], which stand out among the members, too."""
        places = torch.searchsorted(matched.rows, rows).clamp(max=len(matched.rows) - 1)
        if not torch.equal(matched.rows[places], rows):  # some were off the shortlist
            matched, order = self.match(views, rows.sort().values), rows.argsort()
            places = order.argsort()
        n, k = len(matched.rows), len(rows)
        members = torch.arange(n, matched.near.shape[-1], device=rows.device)
        return matched.out(torch.cat([places, members]))[..., :k], matched.fit(places)

    def _codes(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Components of windows of some training images [n] and then of the members, [window, component, image]."""
        return [
            torch.cat([windows.of(rows), members], dim=2)
            for windows, members in zip(self.windows, self.members, strict=True)
        ]

    def _coarse(self, maps_BC: torch.Tensor, shifted: bool = False) -> torch.Tensor:
        """Maps at half of their resolution, without the margin: [B, channel, *coarse], or of one at each shift."""
        sizes = maps_BC.shape[2:]
        pooled = halve(maps_BC, least=4)
        for axis, size in enumerate(pooled.shape[2:], start=2):
            margin = max(0, min(self.margin, (size - 2) // 2))
            if shifted:
                pooled = pooled.unfold(axis, size - 2 * margin, 1)
            else:
                pooled = pooled.narrow(axis, margin, size - 2 * margin)
        return pooled.flatten(2, 1 + len(sizes))[0].movedim(1, 0) if shifted else pooled

    def _match(self, view: View, codes: list[torch.Tensor]) -> list[torch.Tensor]:
        small, large = (own @ others for own, others in zip((view.small, view.large), codes, strict=True))
        shapes = [self.windows[number].shape for number in (0, 0, 1)]
        found = small[:, small.shape[1] // 2], small.amax(dim=1), large.amax(dim=1)
        return [fisher(part).unflatten(0, shape) for part, shape in zip(found, shapes, strict=True)]


def _windows(maps_BC: torch.Tensor, grid: Grid) -> Windows:
    return Windows(maps_BC[:, grid.channels], grid.size, grid.step, grid.components)


def ranked(out: torch.Tensor) -> torch.Tensor:
    """Similarity for ranking, [n], of `Matched.out` by pose, the image's own first.

    The images that stand out most in any of several ways come first, in turn.
    """
    n = len(SHARES)
    in_place, near, wide, regions = out[:1, :n], out[:, n : 2 * n], out[:, 2 * n : 3 * n], out[:, 3 * n :]
    ways = (out.mean(dim=1), regions.amax(dim=1), wide[:, -1], near[:, -1], in_place[:, 0], in_place[:, 1])
    ranks = torch.stack([way.amax(dim=0).argsort(descending=True, stable=True).argsort() for way in ways]).float()
    return -ranks.amin(dim=0) - 1e-4 * ranks.mean(dim=0).clamp(max=1e3)
