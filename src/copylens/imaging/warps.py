"""Batches of 2D and 3D images turned, zoomed, shifted, flipped and bent. Pixels from outside repeat the border."""

import torch
from torch.nn import functional


def planes(dims: int) -> list[tuple[int, int]]:
    """The pairs of axes that an image is turned in: one in 2D; in 3D those about each axis, the last one first."""
    return [(0, 1)] if dims == 2 else [(0, 1), (0, 2), (1, 2)]


def rotation(angles: torch.Tensor, dims: int) -> torch.Tensor:
    """Rotation matrices [B, dims, dims] from angles [B, plane] in radians, one plane after the other.

    Coordinates come last axis first, as `torch.nn.functional.affine_grid` has them.
    """
    matrix = torch.eye(dims).repeat(len(angles), 1, 1)
    for number, (first, second) in enumerate(planes(dims)):
        cos, sin = torch.cos(angles[:, number]), torch.sin(angles[:, number])
        turn = torch.eye(dims).repeat(len(angles), 1, 1)
        turn[:, first, first], turn[:, first, second] = cos, -sin
        turn[:, second, first], turn[:, second, second] = sin, cos
        matrix = turn @ matrix
    return matrix


def turns(dims: int, degrees: list[float]) -> torch.Tensor:
    """Rotation matrices [turn, dims, dims]: by each angle, both ways, in each plane."""
    n_planes = len(planes(dims))
    both_ways = sorted({sign * float(angle) for angle in degrees for sign in (1, -1)})
    angles = {
        tuple(angle if number == plane else 0.0 for number in range(n_planes))
        for plane in range(n_planes)
        for angle in both_ways
    }
    return rotation(torch.deg2rad(torch.tensor(sorted(angles))), dims)


def flips(dims: int) -> torch.Tensor:
    """No flip, and a flip along each axis, as matrices [1 + dims, dims, dims]."""
    matrices = torch.eye(dims).repeat(1 + dims, 1, 1)
    for axis in range(dims):
        matrices[1 + axis, axis, axis] = -1
    return matrices


def warp(
    images_BC: torch.Tensor,
    matrix: torch.Tensor,
    shift: torch.Tensor | None = None,
    displacement: torch.Tensor | None = None,
) -> torch.Tensor:
    """Each image seen through a linear map of its coordinates about its centre, images of the same shape [B, C, *grid].

    matrix: [B, dims, dims] in pixels. shift: [B, dims], shares of each side. displacement: [B, dims, *grid], shares of
    each side too. All three lead from the result's coordinates, last axis first, to those in `images_BC`.
    """
    places = places_of(images_BC.shape[2:], matrix, shift).to(images_BC.device)
    if displacement is not None:
        places = places + 2 * displacement.to(images_BC.device).movedim(1, -1)
    return look(images_BC, places)


def places_of(sizes: torch.Size, matrix: torch.Tensor, shift: torch.Tensor | None = None) -> torch.Tensor:
    """Sampling positions of `warp` in images of these sizes, [B, *grid, dims]: its slower half, for maps used again."""
    dims = len(sizes)
    # Each axis is measured from -1 to 1: turn in pixels, not in these units.
    extent = torch.tensor(sizes[::-1], dtype=torch.float32, device=matrix.device)
    matrix = matrix * extent[None, None, :] / extent[None, :, None]
    parts = (
        torch.zeros(1, 1, *[1] * dims, device=matrix.device) if shift is None else 2 * shift.view(-1, dims, *[1] * dims)
    )
    for number, size in enumerate(sizes[::-1]):
        along = (torch.arange(size, device=matrix.device) * 2 + 1) / size - 1
        sides = [size if axis == dims - 1 - number else 1 for axis in range(dims)]
        parts = parts + (matrix[:, :, number, None] * along).view(-1, dims, *sides)
    return parts.movedim(1, -1)


def look(images_BC: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Images [B, C, *grid] sampled at places [B, *grid, dims] (see `places_of`)."""
    return functional.grid_sample(images_BC, places, padding_mode="border", align_corners=False)
