"""The group of orientations: every permutation of the axes with every combination of mirrors, and grey values inverted.

Loads no torch: a verdict names orientations and turns no image.
"""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """A change of an image's axes and grey values."""

    axes: tuple[int, ...]  # axis i of the result is axis axes[i] of the image
    mirrored: tuple[bool, ...]  # by axis of the result
    inverted: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether the axes are unchanged."""
        return self.axes == tuple(range(len(self.axes))) and not any(self.mirrored)

    @property
    def is_none(self) -> bool:
        """Whether axes and grey values are unchanged."""
        return self.is_upright and not self.inverted

    @property
    def is_quarter_turn(self) -> bool:
        """Whether it is a quarter turn about one axis and nothing else."""
        swapped = [axis for axis in range(len(self.axes)) if self.axes[axis] != axis]
        one = sum(self.mirrored) == 1 and any(self.mirrored[axis] for axis in swapped)
        return len(swapped) == 2 and one and not self.inverted

    @property
    def matrix(self) -> np.ndarray:
        """The map of coordinates, last axis first, from the result to the image (see `copylens.imaging.warps.warp`)."""
        dims = len(self.axes)
        matrix = np.zeros((dims, dims), np.float32)
        for place, (axis, mirrored) in enumerate(zip(self.axes, self.mirrored, strict=True)):
            matrix[dims - 1 - axis, dims - 1 - place] = -1.0 if mirrored else 1.0
        return matrix

    @property
    def words(self) -> str:
        """The change in words, for a sentence; empty for no change."""
        dims = len(self.axes)
        moved = [axis for axis in range(dims) if self.axes[axis] != axis]
        turned = round(float(np.linalg.det(self.matrix))) == 1
        mirrored = [axis + 1 for axis in range(dims) if self.mirrored[axis]]
        changes = []
        if moved and turned and dims == 2:
            changes.append("turned by a quarter")
        elif moved:
            swapped = " and ".join(str(axis + 1) for axis in moved)
            changes.append("transposed" if dims == 2 else f"with axes {swapped} swapped")
            mirrored = [] if dims == 2 else mirrored
        elif mirrored and dims == 2 and len(mirrored) == 2:
            changes.append("turned by a half")
        if mirrored and not (dims == 2 and (moved or len(mirrored) == 2)):
            along = " and ".join(map(str, mirrored))
            changes.append(f"mirrored along {'axis' if len(mirrored) == 1 else 'axes'} {along}")
        if self.inverted:
            changes.append("with inverted grey values")
        return ", ".join(changes)


def orientations(dims: int) -> list[Orientation]:
    """The whole group: the identity first, and in the second half the same with inverted grey values."""
    return [
        Orientation(axes, mirrored, inverted)
        for inverted in (False, True)
        for axes in itertools.permutations(range(dims))
        for mirrored in itertools.product((False, True), repeat=dims)
    ]


def words_of(orientation: int, sorted_along: int, dims: int) -> str:
    """An image's best orientation in words, a row of `orientations` and the axis along which slices were sorted (-1 for
    none); empty if that is its own."""
    parts = [f"with its slices along axis {sorted_along + 1} in another order"] if sorted_along >= 0 else []
    return ", ".join(filter(None, [*parts, orientations(dims)[orientation].words]))
