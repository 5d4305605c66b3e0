"""Gaussian and box filters of batches of 2D and 3D images, and their resampling; borders are repeated.

A filter is a matrix for each axis: on images of some hundred pixels a side, products of matrices are faster than
convolutions and running sums, and skip the pixels between steps at no cost.
"""

import functools
import itertools
from math import prod

import torch
from torch.nn import functional

SMALL = 256  # pixels, of the last two axes of a volume, up to which one matrix for both is faster than one for each


def smooth(images_BC: torch.Tensor, widths: list[float]) -> torch.Tensor:
    """Blurred by a Gaussian with a standard deviation, in pixels, for each axis of [B, C, *grid]."""
    for axis, width in enumerate(widths, start=2):
        images_BC = _filter(images_BC, axis, _gaussian(images_BC.shape[axis], width))
    return images_BC


def local_normalise(images_BC: torch.Tensor, inner: float, outer: float, floor: float) -> torch.Tensor:
    """Difference from the neighbourhood in its deviations: invariant to slow changes of brightness and contrast.

    (smoothed by `inner` pixels - local mean) / local standard deviation, both over `outer` pixels; `floor` is added to
    the deviation, so that noise in empty regions stays small.
    """
    dims = images_BC.ndim - 2
    mean = smooth(images_BC, [outer] * dims)
    variance = smooth((images_BC - mean) ** 2, [outer] * dims)
    return (smooth(images_BC, [inner] * dims) - mean) / torch.sqrt(variance + floor**2)


def box(images_BC: torch.Tensor, width: int, step: int = 1, n_axes: int | None = None) -> torch.Tensor:
    """Mean over windows of `width` (odd) pixels along every axis, cut at the border, at every `step`-th pixel.

    n_axes: of the axes after the second, how many are filtered, the first ones; all by default.
    """
    last = images_BC.ndim if n_axes is None else 2 + n_axes
    together = last == images_BC.ndim == 5 and prod(images_BC.shape[-2:]) <= SMALL
    for axis in range(2, last - 2 * together):
        images_BC = _filter(images_BC, axis, _window(images_BC.shape[axis], width, step))
    if together:
        one, other = (_window(size, width, step) for size in images_BC.shape[-2:])
        matrix = torch.kron(one, other).to(images_BC.device)
        images_BC = (images_BC.flatten(-2) @ matrix.T).unflatten(-1, (len(one), len(other)))
    return images_BC


def shifted_boxes(padded_BC: torch.Tensor, reach: int, width: int, step: int = 1) -> dict[tuple, torch.Tensor]:
    """`box` of every part of an image [B, 1, *grid] that was padded by `reach`.

    By the part's displacement from the middle along all axes but the last: [B, displacement along the last, *windows].
    """
    n = 2 * reach + 1
    for axis in reversed(range(2, padded_BC.ndim)):
        matrix = _shifted_windows(padded_BC.shape[axis] - 2 * reach, width, step, reach)
        padded_BC = _filter(padded_BC, axis, matrix)
    first = padded_BC[:, 0]
    for axis in reversed(range(1, first.ndim)):
        first = first.unflatten(axis, (n, -1))  # [B, displacement, windows, displacement, windows, ..]
    dims = padded_BC.ndim - 2
    first = first.permute(*range(1, 2 * dims - 1, 2), 0, 2 * dims - 1, *range(2, 2 * dims + 1, 2))
    return {
        displacement: first[tuple(along + reach for along in displacement)]
        for displacement in itertools.product(range(-reach, reach + 1), repeat=dims - 1)
    }


def _filter(images_BC: torch.Tensor, axis: int, matrix: torch.Tensor) -> torch.Tensor:
    """Each line along one axis times a matrix [new size, size]."""
    matrix = matrix.to(images_BC.device)
    if axis == images_BC.ndim - 1:
        return images_BC @ matrix.T
    filtered = matrix @ images_BC.flatten(axis + 1)
    return filtered.unflatten(axis + 1, images_BC.shape[axis + 1 :])


@functools.cache
def _gaussian(size: int, width: float) -> torch.Tensor:
    """Row i: the weights of pixel i's neighbourhood; a weight that falls outside is the border's. [size, size]."""
    # Imported here, because most jobs only resize.
    from copylens.jobs.lean_monai import layers

    kernel = layers.gaussian_1d(torch.tensor(width), truncated=3.0, normalize=True)
    reach = len(kernel) // 2
    pixel = torch.arange(size)
    neighbour = (pixel[:, None] + torch.arange(-reach, reach + 1)).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add(1, neighbour, kernel.expand(size, -1))


@functools.cache
def _window(size: int, width: int, step: int) -> torch.Tensor:
    """Row i: 1 / n for the n pixels of the i-th window. [windows, size]."""
    centre, pixel = torch.arange(step // 2, size, step), torch.arange(size)
    inside = ((pixel - centre[:, None]).abs() <= width // 2).float()
    return inside / inside.sum(dim=1, keepdim=True)


@functools.cache
def _shifted_windows(size: int, width: int, step: int, reach: int) -> torch.Tensor:
    """`_window` for each displacement, one after the other, of a side padded by `reach`. [n x windows, padded size]."""
    matrix = _window(size, width, step)
    return torch.cat([functional.pad(matrix, [reach + along, reach - along]) for along in range(-reach, reach + 1)])


@functools.cache
def _interpolation(size: int, new: int) -> torch.Tensor:
    """Row i: the weights of the pixels about the i-th one of the new grid. [new, size]."""
    return functional.interpolate(torch.eye(size)[None], size=new, mode="linear")[0].T


def no_larger(grid: list[int], longest: int, multiple: int = 1) -> list[int]:
    """`grid` scaled down until its longest side is at most `longest`, each side a multiple of `multiple`."""
    scale = min(1, longest / max(grid))
    return [max(multiple, multiple * round(size * scale / multiple)) for size in grid]


def halve(images_BC: torch.Tensor, least: int = 2) -> torch.Tensor:
    """Means of two pixels along each axis of [B, C, *grid] with at least `least`; an odd last pixel is left out."""
    for axis in range(2, images_BC.ndim):
        n = images_BC.shape[axis] // 2
        if 2 * n >= least:
            one, other = images_BC.narrow(axis, 0, 2 * n).unflatten(axis, (n, 2)).unbind(axis + 1)
            images_BC = (one + other) / 2
    return images_BC


def enlarge(images_BC: torch.Tensor, grid: list[int]) -> torch.Tensor:
    """Linear interpolation to [B, C, *grid] without smoothing."""
    for axis, (size, new) in enumerate(zip(images_BC.shape[2:], grid, strict=True), start=2):
        images_BC = _filter(images_BC, axis, _interpolation(size, new))
    return images_BC


def resize(images_BC: torch.Tensor, grid: list[int]) -> torch.Tensor:
    """Linear interpolation to [B, C, *grid]; details finer than the new pixels are smoothed away."""
    sizes = images_BC.shape[2:]
    if list(sizes) == list(grid):
        return images_BC
    if len(grid) == 2:
        return functional.interpolate(images_BC, grid, mode="bilinear", antialias=True)
    # Half the ratio of the pixels' sizes, as antialiasing does.
    widths = [max(0.1, 0.5 * (size / new - 1)) for size, new in zip(sizes, grid, strict=True)]
    return functional.interpolate(smooth(images_BC, widths), grid, mode="trilinear")
