"""How alike two images are window by window, once one is bent to fit the other: block matching, coarse to fine."""

import torch
from torch.nn import functional

from copylens.filters import box, shifted_boxes, smooth
from copylens.warps import warp

SHARPNESS = 20.0  # of the softmax over displacements


def match(
    moving_BC: torch.Tensor, fixed_BC: torch.Tensor, reach: tuple[int, int], windows: tuple[int, int], step: int
) -> torch.Tensor:
    """Normalised correlation of windows of `fixed_BC` with the best one near each in `moving_BC`, [B, *every step-th].

    Both are [B, 1, *grid] with local mean 0 (see `filters.local_normalise`). At half the resolution each window of
    `windows[0]` pixels looks for its like up to `reach[0]` pixels away; the displacements, smoothed, bend the moving
    image; at full resolution windows of `windows[1]` pixels then look up to `reach[1]` pixels further.
    """
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    pool = (functional.avg_pool2d, functional.avg_pool3d)[dims - 2]
    correlation, steps = _correlations(pool(moving_BC, 2), pool(fixed_BC, 2), reach[0], windows[0])
    weights = torch.softmax(SHARPNESS * correlation, dim=1)
    coarse = torch.einsum("bs...,sd->bd...", weights, steps)  # [B, dims, *half grid], half pixels, first axis first
    mode = ("bilinear", "trilinear")[dims - 2]
    displacement = functional.interpolate(smooth(coarse, [1.0] * dims), size=sizes, mode=mode)
    extent = torch.tensor(sizes[::-1], dtype=torch.float32, device=displacement.device).view(1, dims, *[1] * dims)
    shares = 2 * displacement.flip(1) / extent
    bent = warp(moving_BC, torch.eye(dims, device=moving_BC.device).repeat(len(moving_BC), 1, 1), displacement=shares)
    return _correlations(bent, fixed_BC, reach[1], windows[1], step)[0].amax(dim=1)


def _correlations(moving_BC, fixed_BC, reach: int, window: int, step: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlation of each window at each displacement, [B, displacement, *every step-th], and the displacements."""
    dims, sizes = fixed_BC.ndim - 2, fixed_BC.shape[2:]
    padded = functional.pad(moving_BC, [reach] * (2 * dims), mode="replicate")
    fixed_energy = box(fixed_BC**2, window, step)
    energies = shifted_boxes(padded**2, reach, window, step)
    found = []
    # One displacement at a time: what is in hand then fits a processor's cache.
    for displacement, energy in energies.items():
        part = (slice(reach + along, reach + along + size) for along, size in zip(displacement, sizes, strict=True))
        norm = torch.sqrt(energy * fixed_energy).clamp(min=1e-4)
        found.append(box(padded[(..., *part)] * fixed_BC, window, step) / norm)
    return torch.cat(found, dim=1), torch.tensor(list(energies), dtype=torch.float32, device=fixed_BC.device)
