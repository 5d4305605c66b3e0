"""Registration of one image to another: turned, zoomed and shifted, or elastically, window by window."""

import functools
from collections.abc import Iterator

import torch
from torch.nn import functional

from copylens.imaging.filters import box, enlarge, halve, shifted_boxes, smooth
from copylens.imaging.warps import look, places_of, planes, warp

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
    total, sums = torch.zeros(()), [torch.zeros(())] * dims
    for along, correlation in _correlations(halve(moving_BC), halve(fixed_BC), reach[0], windows[0], COARSER):
        weight = torch.exp(SHARPNESS * correlation)
        known = weight.sum(dim=1, keepdim=True)
        total = total.to(weight.device) + known
        last = torch.arange(-reach[0], reach[0] + 1.0, device=weight.device).view(1, -1, *[1] * dims)
        parts = [*(pixels * known for pixels in along), (last * weight).sum(dim=1, keepdim=True)]
        sums = [before.to(weight.device) + part for before, part in zip(sums, parts, strict=True)]
    coarse = torch.cat(sums, dim=1) / total  # half pixels, first axis first, [B, dims, *every other half pixel]
    displacement = enlarge(smooth(coarse, [SMOOTHING / COARSER] * dims), list(sizes))
    extent = torch.tensor(sizes[::-1], dtype=torch.float32, device=displacement.device).view(1, dims, *[1] * dims)
    shares = 2 * displacement.flip(1) / extent
    bent = warp(moving_BC, torch.eye(dims, device=moving_BC.device).repeat(len(moving_BC), 1, 1), displacement=shares)
    found = _correlations(bent, fixed_BC, reach[1], windows[1], step)
    return functools.reduce(torch.maximum, (correlation.amax(dim=1) for _, correlation in found))


def windows_in_place(moving_BC: torch.Tensor, fixed_BC: torch.Tensor, window: int, step: int) -> torch.Tensor:
    """Correlation of each window of `fixed_BC` with the same one of `moving_BC`, as in `match`, without moving any."""
    ((_, correlation),) = _correlations(moving_BC, fixed_BC, 0, window, step)
    return correlation


def _correlations(moving_BC, fixed_BC, reach: int, window: int, step: int = 1) -> Iterator[tuple[tuple, torch.Tensor]]:
    """Displacements, in pixels, along all axes but the last, and the correlation of each window at them and at each
    displacement along the last, [B, displacement, *every step-th].

    So many displacements at a time that the arrays fit a processor's cache.
    """
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    padded = functional.pad(moving_BC, [reach] * (2 * dims), mode="replicate")
    fixed_energy = box(fixed_BC**2, window, step)
    energies = shifted_boxes(padded**2, reach, window, step)
    for displacement, energy in energies.items():
        part = (slice(reach + along, reach + along + size) for along, size in zip(displacement, sizes, strict=False))
        lines = padded[(slice(None), slice(None), *part)]
        products = [lines[..., start : start + sizes[-1]] * fixed_BC for start in range(2 * reach + 1)]
        norm = torch.sqrt(energy * fixed_energy).clamp_(min=1e-4)
        yield displacement, box(torch.cat(products, dim=1), window, step) / norm


def align(
    moving_BC: torch.Tensor,
    fixed_BC: torch.Tensor,
    matrix: torch.Tensor,
    shift: torch.Tensor,
    margin: float,
    steps: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Register `moving_BC` to `fixed_BC`: the best matrix and shift (see `warp`) near the given; correlation [B].

    Images are [B, 1, *grid], or one to be moved for all; a share `margin` of each side is left out. Least squares over
    turns, one zoom, shifts, brightness and contrast, by Gauss-Newton steps of which the best one is kept: inverse
    compositional alignment (Baker and Matthews 2004, "Lucas-Kanade 20 years on", Int. J. Comput. Vis. 56:221-255).
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
        places = places_of(sizes, matrix, shift)[(slice(None), *inside)]
        seen = look(moving_BC.expand(len(places), -1, *sizes), places).flatten(1)
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
