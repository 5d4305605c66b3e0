"""Gaussian and box filters of batches of 2D and 3D images, and their resampling; borders are repeated."""

import torch
from monai.networks.layers import gaussian_1d, separable_filtering
from torch.nn import functional


def smooth(images_BC: torch.Tensor, widths: list[float]) -> torch.Tensor:
    """Blurred by a Gaussian with a standard deviation, in pixels, for each axis of [B, C, *grid]."""
    # One kernel per axis: padding all axes at once would blow a small volume up.
    kernels = [gaussian_1d(torch.tensor(width), truncated=3.0, normalize=True).to(images_BC.device) for width in widths]
    return separable_filtering(images_BC, kernels, mode="replicate")


def local_normalise(images_BC: torch.Tensor, inner: float, outer: float, floor: float) -> torch.Tensor:
    """What differs from the neighbourhood, in units of its deviation: blind to slow changes of brightness and contrast.

    (smoothed by `inner` pixels - local mean) / local standard deviation, both over `outer` pixels; `floor` is added to
    the deviation, so that noise in empty regions stays small.
    """
    dims = images_BC.ndim - 2
    mean = smooth(images_BC, [outer] * dims)
    variance = smooth((images_BC - mean) ** 2, [outer] * dims)
    return (smooth(images_BC, [inner] * dims) - mean) / torch.sqrt(variance + floor**2)


def box(images_BC: torch.Tensor, width: int, step: int = 1) -> torch.Tensor:
    """Mean over windows of `width` (odd) pixels along every axis, cut at the border, at every `step`-th pixel.

    By running sums, one axis after the other.
    """
    for axis in range(2, images_BC.ndim):
        size = images_BC.shape[axis]
        centre = torch.arange(step // 2, size, step, device=images_BC.device)
        counts = (centre + width // 2 + 1).clamp(max=size) - (centre - width // 2).clamp(min=0)
        first = images_BC.narrow(axis, 0, 1)
        sums = images_BC.cumsum(dim=axis)
        repeats = [1] * images_BC.ndim
        # Nothing is summed before the border, and everything behind the other one.
        repeats[axis] = width // 2
        after = sums.narrow(axis, size - 1, 1).repeat(repeats)
        repeats[axis] += 1
        sums = torch.cat([torch.zeros_like(first).repeat(repeats), sums, after], dim=axis)
        every = (slice(None),) * axis
        high, low = (sums[(*every, slice(step // 2 + start, start + size, step))] for start in (width, 0))
        images_BC = (high - low) / _along(counts, axis, first)
    return images_BC


def _along(values: torch.Tensor, axis: int, like: torch.Tensor) -> torch.Tensor:
    """A vector that lies along one axis of an image."""
    return values.to(like.dtype).view([-1 if each == axis else 1 for each in range(like.ndim)])


def no_larger(grid: list[int], longest: int, multiple: int = 1) -> list[int]:
    """`grid` scaled down until its longest side is at most `longest`, each side a multiple of `multiple`."""
    scale = min(1, longest / max(grid))
    return [max(multiple, multiple * round(size * scale / multiple)) for size in grid]


def resize(images_BC: torch.Tensor, grid: list[int]) -> torch.Tensor:
    """[B, C, *grid], linearly, with what is finer than the new pixels smoothed away."""
    sizes = images_BC.shape[2:]
    if list(sizes) == list(grid):
        return images_BC
    if len(grid) == 2:
        return functional.interpolate(images_BC, grid, mode="bilinear", antialias=True)
    # Half the ratio of the pixels' sizes, as antialiasing does.
    widths = [max(0.1, 0.5 * (size / new - 1)) for size, new in zip(sizes, grid, strict=True)]
    return functional.interpolate(smooth(images_BC, widths), grid, mode="trilinear")
