"""Which training images stand out in windows near their place: those that an image repeats, if only in part.

A copy that was turned, bent, dimmed, covered or mixed with another image still has windows that match far better than
those of any other image do. Which ones they are needn't be known: each window's correlations are measured against its
own with all other images, and the windows that stand out most count.
"""

from typing import NamedTuple

import torch

from copylens.detection.maps import FINE, SMOOTH, WIDE
from copylens.detection.shortlist import CoarseSearch, WindowSearch
from copylens.imaging.filters import halve
from copylens.imaging.windows import Windows, fisher, outstanding


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
SKIPPED = (2, 1)  # shifts of a large window between two that the coarse search tries, in 2D and 3D
REGIONS = ((4,), (2,))  # small windows along each axis, in 2D and 3D
N_STANDING = 3 * len(SHARES) + 2 * len(REGIONS[0])


class Views(NamedTuple):
    """An image in some poses: components of its windows, [window, pose x shift, component], by grid of windows."""

    n: int  # poses
    small: torch.Tensor
    large: torch.Tensor
    coarse: torch.Tensor  # the whole image, [pose x shift, channel, *coarse]; empty without a shortlist


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
            windows.code(members_BC[:, grid.channels]) for windows, grid in zip(self.windows, self.grids, strict=True)
        ]
        self.margin, self.n_listed = MARGINS[dims - 2], shortlist
        self.searches = None
        if self.n > shortlist:
            self.searches = CoarseSearch(self._coarse(maps_TC)), WindowSearch(self.windows[1].of(slice(None)))
        self.all = [] if self.searches else self._codes(torch.arange(self.n, device=maps_TC.device))

    def views(self, maps_PC: torch.Tensor) -> Views:
        """The windows of an image's maps in some poses [P, channel, *grid]."""
        small, large = (
            windows.code(maps_PC[:, grid.channels], grid.reach, grid.stride)
            for windows, grid in zip(self.windows, self.grids, strict=True)
        )
        return Views(len(maps_PC), small, large, self._coarse(maps_PC, shifted=True) if self.searches else maps_PC[:0])

    def shortlists(self, images: list[Views]) -> list[torch.Tensor]:
        """The training images that each image may repeat, in order, [n]: all of them if they are few.

        Else those that are most like it as a whole in some pose, and those that stand out most in its large windows as
        it lies: a collage or an organ in another body is unlike its sources as a whole.
        """
        if self.searches is None:
            return [torch.arange(self.n, device=views.small.device) for views in images]
        whole, parts = self.searches
        half = self.n_listed // 2
        in_parts = parts(torch.stack([self._few_shifts(views) for views in images]))
        found = ((whole(views.coarse).topk(half), by_part) for views, by_part in zip(images, in_parts, strict=True))
        return [
            torch.cat([likely.indices, by_part.topk(self.n_listed - half).indices]).unique()
            for likely, by_part in found
        ]

    def _few_shifts(self, views: Views) -> torch.Tensor:
        """Components of an image's large windows at some shifts, as it lies, [window, shift, component]."""
        dims, per_pose = len(self.windows[1].shape), views.large.shape[1] // views.n
        shifts = views.large[:, :per_pose].unflatten(1, [round(per_pose ** (1 / dims))] * dims)
        return shifts[(slice(None), *(slice(None, None, SKIPPED[dims - 2]),) * dims)].flatten(1, dims)

    def match(self, views: Views, rows: torch.Tensor) -> Matched:
        """Windows of an image matched with those of some training images [n], in order, and of the members."""
        codes = self.all if self.all and len(rows) == self.n else self._codes(rows)
        small, large = (
            (own @ others.mT).unflatten(1, (views.n, -1))  # [window, pose, shift, image]
            for own, others in zip((views.small, views.large), codes, strict=True)
        )
        found = small[:, :, small.shape[2] // 2], small.amax(dim=2), large.amax(dim=2)
        shapes = [self.windows[number].shape for number in (0, 0, 1)]
        by_pose = (part.movedim(1, 0).unflatten(1, shape) for part, shape in zip(found, shapes, strict=True))
        return Matched(rows, *(fisher(part) for part in by_pose))

    def among_members(self, views: Views, matched: Matched, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`Matched.out` and `Matched.fit` of some training images [k], which stand out among the members, too."""
        places = torch.searchsorted(matched.rows, rows).clamp(max=len(matched.rows) - 1)
        if not torch.equal(matched.rows[places], rows):  # some were off the shortlist
            matched, order = self.match(views, rows.sort().values), rows.argsort()
            places = order.argsort()
        n, k = len(matched.rows), len(rows)
        members = torch.arange(n, matched.near.shape[-1], device=rows.device)
        return matched.out(torch.cat([places, members]))[..., :k], matched.fit(places)

    def _codes(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Components of windows of some training images [n] and then of the members, [window, image, component]."""
        return [
            torch.cat([windows.of(rows), members], dim=1)
            for windows, members in zip(self.windows, self.members, strict=True)
        ]

    def _coarse(self, maps_BC: torch.Tensor, shifted: bool = False) -> torch.Tensor:
        """Maps at half of their resolution, without the margin: [B, channel, *coarse], or [B x shift, channel, *coarse]
        at each shift."""
        pooled, dims = halve(maps_BC, least=4), maps_BC.ndim - 2
        for axis, size in enumerate(pooled.shape[2:], start=2):
            margin = max(0, min(self.margin, (size - 2) // 2))
            if shifted:
                pooled = pooled.unfold(axis, size - 2 * margin, 1)
            else:
                pooled = pooled.narrow(axis, margin, size - 2 * margin)
        return pooled.movedim(1, 1 + dims).flatten(0, dims) if shifted else pooled


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
