"""Registration of one image to another: turned, zoomed and shifted, or elastically, window by window."""

import functools
from collections.abc import Iterator

import torch
from torch.nn import functional

from copylens.imaging.filters import box, shifted_boxes, smooth
from copylens.imaging.warps import planes, warp

SHARPNESS = 20.0  # of the softmax over displacements
SMOOTHING, COARSER = 1.4, 2  # half pixels: of displacements, and between two of them
RIDGE = 0.01  # keeps images without structure from turning


def match(
    moving_BC: torch.Tensor, fixed_BC: torch.Tensor, reach: tuple[int, int], windows: tuple[int, int], step: int
) -> torch.Tensor:
    """Normalised correlation of windows of `fixed_BC` with the best one near each in `moving_BC`, [B, *every step-th].

    Both are [B, 1, *grid] with local mean 0 (see `filters.local_normalise`). At half the resolution each window of
    `windows[0]` pixels is matched up to `reach[0]` pixels away; the displacements, smoothed, bend the moving image; at
    full resolution windows of `windows[1]` pixels are then matched up to `reach[1]` pixels further.
    """
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    pool = (functional.avg_pool2d, functional.avg_pool3d)[dims - 2]
    half = pool(fixed_BC, 2)
    total, sums = torch.zeros(()), [torch.zeros(())] * dims
    for along, correlation in _correlations(pool(moving_BC, 2), half, reach[0], windows[0], COARSER):
        weight = torch.exp(SHARPNESS * correlation)
        total = total.to(weight.device) + weight
        sums = [known.to(weight.device) + pixels * weight for known, pixels in zip(sums, along, strict=True)]
    coarse = torch.cat(sums, dim=1) / total  # half pixels, first axis first, [B, dims, *every other half pixel]
    mode = ("bilinear", "trilinear")[dims - 2]
    displacement = functional.interpolate(smooth(coarse, [SMOOTHING / COARSER] * dims), size=sizes, mode=mode)
    extent = torch.tensor(sizes[::-1], dtype=torch.float32, device=displacement.device).view(1, dims, *[1] * dims)
    shares = 2 * displacement.flip(1) / extent
    bent = warp(moving_BC, torch.eye(dims, device=moving_BC.device).repeat(len(moving_BC), 1, 1), displacement=shares)
    correlations = (correlation for _, correlation in _correlations(bent, fixed_BC, reach[1], windows[1], step))
    return functools.reduce(torch.maximum, correlations)[:, 0]


def windows_in_place(moving_BC: torch.Tensor, fixed_BC: torch.Tensor, window: int, step: int) -> torch.Tensor:
    """Correlation of each window of `fixed_BC` with the same one of `moving_BC`, as in `match`, without moving any."""
    ((_, correlation),) = _correlations(moving_BC, fixed_BC, 0, window, step)
    return correlation


def _correlations(moving_BC, fixed_BC, reach: int, window: int, step: int = 1) -> Iterator[tuple[tuple, torch.Tensor]]:
    """Each displacement, in pixels, and the correlation of each window at it, [B, 1, *every step-th].

    One displacement at a time, so that the arrays fit a processor's cache.
    """
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    padded = functional.pad(moving_BC, [reach] * (2 * dims), mode="replicate")
    fixed_energy = box(fixed_BC**2, window, step)
    for displacement, energy in shifted_boxes(padded**2, reach, window, step).items():
        part = (slice(reach + along, reach + along + size) for along, size in zip(displacement, sizes, strict=True))
        norm = torch.sqrt(energy * fixed_energy).clamp_(min=1e-4)
        yield displacement, box(padded[(slice(None), slice(None), *part)] * fixed_BC, window, step) / norm


def align(
    moving_BC: torch.Tensor,
    fixed_BC: torch.Tensor,
    matrix: torch.Tensor,
    shift: torch.Tensor,
    margin: float,
    steps: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Register `moving_BC` to `fixed_BC`: the best matrix and shift (see `warp`) near the given; correlation [B].

    Both images are [B, 1, *grid]; a share `margin` of each side doesn't count. Least squares over turns, one zoom,
    shifts, brightness and contrast, by Gauss-Newton steps of which the best one is kept: inverse compositional
    alignment (Baker and Matthews 2004, "Lucas-Kanade 20 years on", Int. J. Comput. Vis. 56:221-255).
    """
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    inside = tuple(slice(round(margin * size), size - round(margin * size)) for size in sizes)
    extent = torch.tensor(sizes[::-1], dtype=torch.float32, device=fixed_BC.device)
    axes = [torch.arange(size, device=fixed_BC.device) - (size - 1) / 2 for size in sizes]
    kept = [axis[inside[number]] for number, axis in enumerate(axes)]
    place = torch.stack(torch.meshgrid(*kept, indexing="ij")[::-1]).flatten(1)  # [dims, pixel], last axis first
    slopes = torch.stack(torch.gradient(fixed_BC[:, 0], dim=list(range(1, dims + 1)))[::-1], dim=1)
    slopes = slopes[(slice(None), slice(None), *inside)].flatten(2)
    target = fixed_BC[:, 0][(slice(None), *inside)].flatten(1)
    generators = _generators(dims).to(fixed_BC.device)
    moved = torch.einsum("gij,jp->gip", generators, place)
    columns = torch.cat([slopes, torch.einsum("bip,gip->bgp", slopes, moved), target[:, None]], dim=1)
    columns = columns - columns.mean(dim=2, keepdim=True)
    scale = columns.norm(dim=2, keepdim=True).clamp(min=1e-6)
    columns = columns / scale
    square = columns @ columns.mT + RIDGE * torch.eye(columns.shape[1], device=fixed_BC.device)
    best = [matrix, shift, torch.full((len(matrix),), -1.0, device=fixed_BC.device)]
    for step in range(steps + 1):
        seen = warp(moving_BC, matrix, shift)[:, 0][(slice(None), *inside)].flatten(1)
        seen = seen - seen.mean(dim=1, keepdim=True)
        seen = seen / seen.norm(dim=1, keepdim=True).clamp(min=1e-6)
        along = (columns @ seen[:, :, None])[..., 0]
        better = along[:, -1] > best[2]
        best = [
            torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip((matrix, shift, along[:, -1]), best, strict=True)
        ]
        if step == steps:
            break
        solution = torch.linalg.solve(square, along) / scale[..., 0]
        solution = solution[:, :-1] / solution[:, -1:].clamp(min=1e-3)
        by = solution[:, :dims].clamp(-2, 2)
        turn = torch.einsum("bg,gij->bij", solution[:, dims:].clamp(-0.1, 0.1), generators)
        undone = matrix @ torch.linalg.inv(torch.eye(dims, device=turn.device) + turn)
        matrix, shift = undone, shift - (undone @ by[..., None])[..., 0] / extent
    matrix, shift, correlation = best
    return matrix, shift, correlation


def _generators(dims: int) -> torch.Tensor:
    """Generators of a zoom and of a turn in each plane: additions to the unit matrix, [1 + planes, dims, dims]."""
    generators = [torch.eye(dims)]
    for first, second in planes(dims):
        turn = torch.zeros(dims, dims)
        turn[first, second], turn[second, first] = -1.0, 1.0
        generators.append(turn)
    return torch.stack(generators)
