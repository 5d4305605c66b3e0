"""Orientation of an image: mirrors, quarter turns, swapped axes, inverted grey values, slices in another order.

Files lose their orientation easily: an affine that isn't written, MONOCHROME1 read as MONOCHROME2, slices sorted by
name. A copy in another orientation than the training images looks unlike all of them. The whole group is tried, not a
list: every permutation of the axes with every combination of mirrors, each with grey values unchanged and inverted; and
volumes whose neighbouring slices are unlike also with their slices sorted.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from copylens.imaging.axes import orientations
from copylens.imaging.correlation import standardise
from copylens.imaging.filters import no_larger, resize
from copylens.imaging.warps import look, places_of

LONGEST = 16, 10  # pixels of the longest side that orientations are compared at, in 2D and 3D
BETTER = 0.15  # margin by which another orientation must fit better than the image's own, in units of Fisher's z
DISORDERED = 0.5  # share of slices that have their most similar slice beside them, below which they are put in order
PROFILES = 2000  # training volumes, or a few more, whose slices others are matched with
TRIED = 20  # of them, into which a volume's slices are fitted
BLOCK = 2**13  # training images that are compared at a time


@dataclass(frozen=True)
class Lie:
    """The one of `orientations` that makes each image most like a training image, and which slices were sorted."""

    orientation: np.ndarray  # int64 [image], a row of `orientations`
    zoom: np.ndarray  # float32 [image], that goes with it where the sides of the grid differ
    sorted_along: np.ndarray  # int64 [image], the axis along which slices were sorted, -1 for none


class Orienter:
    """Turns images to the training images' orientation: each is turned until it is most like one of them.

    training: batches of them, [B, 1, *grid]. Images are compared by the correlation of few pixels. An image is turned
    only if another orientation fits better by `BETTER`, so that noise turns nothing.
    """

    def __init__(self, training: Iterable[torch.Tensor]):
        rows = []
        slices: list[list[torch.Tensor]] = []  # [batch], by axis
        for images_BC in training:
            self.grid = list(images_BC.shape[2:])
            self.dims = len(self.grid)
            self.low = no_larger(self.grid, LONGEST[self.dims - 2])
            rows.append(standardise(resize(images_BC, self.low).flatten(1)))
            if self.dims == 3 and len(slices) * len(images_BC) < PROFILES:
                slices.append([standardised_slices(images_BC, axis, self.low).cpu() for axis in range(3)])
        self.training = torch.cat(rows)
        self.slices = [torch.cat(of_axis) for of_axis in zip(*slices, strict=True)]  # by axis, [T, slice, pixel]
        self.group = orientations(self.dims)
        upright = [number for number, orientation in enumerate(self.group) if not orientation.inverted]
        self.views = [(number, zoom) for number in upright for zoom in self._zooms(self.group[number].axes)]

    def __call__(self, images_BC: torch.Tensor) -> tuple[torch.Tensor, Lie]:
        """Images [B, 1, *grid] in their best orientations, and these orientations."""
        images_BC = images_BC.clone()
        unsorted = self._likeness(images_BC)
        best, view = unsorted.amax(dim=0), unsorted.argmax(dim=0)
        sorted_along = np.full(len(images_BC), -1)
        for row, along, image in self._in_order(images_BC):
            likeness = self._likeness(image[None])[:, 0]
            if likeness.max() > max(best[row], unsorted[0, row] + BETTER):
                best[row], view[row] = likeness.max(), likeness.argmax()
                images_BC[row], sorted_along[row] = image, along
        # Sorted volumes take the orientation that fitted then; others are turned only if it beats their own.
        kept = (best < unsorted[0] + BETTER) & torch.from_numpy(sorted_along < 0)
        view = torch.where(kept, 0, view)
        orientation, zoom = np.zeros(len(images_BC), np.int64), np.ones(len(images_BC), np.float32)
        for row, number in enumerate(view.tolist()):
            # Inverted grey values give the negative of the same view; they are the second half of the group.
            inverted, number = divmod(number, len(self.views))
            upright, zoom[row] = self.views[number]
            orientation[row] = upright + inverted * len(self.group) // 2
        for row in np.flatnonzero(orientation).tolist():
            images_BC[row] = self.apply(images_BC[row : row + 1], orientation[row], zoom[row])[0]
        return images_BC, Lie(orientation, zoom, sorted_along)

    def _in_order(self, images_BC: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
        """(row, axis, image [1, *grid]) of volumes whose slices aren't in order, each slice put where it fits best.

        The order is that of one training volume: the one whose slices, in any order, are most like the volume's.
        """
        for axis, training in enumerate(self.slices):
            slices = standardised_slices(images_BC, axis, self.low)
            share = ordered_share(1 - slices @ slices.mT)
            for row in torch.nonzero(share < DISORDERED)[:, 0].tolist():
                likeness = training @ slices[row].T.cpu()  # [T, its slice, the volume's slice]
                likely = likeness.amax(dim=2).sum(dim=1).topk(min(TRIED, len(likeness))).indices
                orders = [linear_sum_assignment(likeness[one].numpy(), maximize=True)[1] for one in likely]
                places = np.arange(len(orders[0]))
                total = [float(likeness[one][places, order].sum()) for one, order in zip(likely, orders, strict=True)]
                order = torch.from_numpy(orders[int(np.argmax(total))]).to(images_BC.device)
                yield row, axis, images_BC[row].index_select(axis + 1, order)

    def apply(self, images_BC: torch.Tensor, orientation: int, zoom: float) -> torch.Tensor:
        """Images in another orientation; pixels from outside repeat the border."""
        change = self.group[orientation]
        matrix = torch.from_numpy(change.matrix) * float(zoom)
        places = places_of(torch.Size(self.grid), matrix[None]).to(images_BC.device)
        images_BC = look(images_BC, places.expand(len(images_BC), *places.shape[1:]))
        return 1 - images_BC if change.inverted else images_BC

    @functools.cached_property
    def _places(self) -> list[torch.Tensor]:
        size = torch.Size(self.low)
        matrices = [torch.from_numpy(self.group[number].matrix) * zoom for number, zoom in self.views]
        return [places_of(size, matrix[None]) for matrix in matrices]

    def _likeness(self, images_BC: torch.Tensor) -> torch.Tensor:
        """Fisher's z of the correlation with the most similar training image, [view, B]: unchanged, then inverted."""
        low = resize(images_BC, self.low)
        likenesses = []
        for places in self._places:
            views = look(low, places.to(low.device).expand(len(low), *places.shape[1:]))
            rows = standardise(views.flatten(1))
            likeness = [rows @ block.T for block in self.training.to(low.device).split(BLOCK)]
            likenesses.append(
                torch.stack([torch.stack([block.amax(1), (-block).amax(1)]) for block in likeness]).amax(0)
            )
        return torch.atanh(torch.stack(likenesses).clamp(-0.9999, 0.9999)).transpose(0, 1).flatten(0, 1).cpu()

    def _zooms(self, axes: tuple[int, ...]) -> list[float]:
        """Possible zooms of a body after its axes were swapped and it was fitted into the grid again."""
        ratios = [size / self.grid[axis] for size, axis in zip(self.grid, axes, strict=True)]
        return sorted({1.0, min(ratios), max(ratios)}, key=lambda zoom: abs(zoom - 1))


def standardised_slices(images_BC: torch.Tensor, axis: int, low: list[int]) -> torch.Tensor:
    """Each slice of volumes along an axis of the grid, few pixels with mean 0 and norm 1, [B, slice, pixel]."""
    sides = [images_BC.shape[axis + 2] if number == axis else size for number, size in enumerate(low)]
    slices = resize(images_BC, sides)[:, 0].movedim(axis + 1, 1).flatten(2)
    return standardise(slices.flatten(0, 1)).view(slices.shape)


def ordered_share(apart: torch.Tensor) -> torch.Tensor:
    """Share of slices whose most similar other slice lies beside them, [B], given their distances [B, n, n]."""
    n = apart.shape[1]
    if n < 4:
        return torch.ones(len(apart))
    others = apart + torch.diag(torch.full((n,), torch.inf, device=apart.device))
    beside = torch.cat([torch.diagonal(others, 1, 1, 2), torch.full((len(apart), 1), torch.inf).to(apart.device)], 1)
    nearest_beside = torch.minimum(beside, beside.roll(1, dims=1))
    return (nearest_beside <= others.amin(dim=2) + 1e-5).float().mean(dim=1).cpu()
