"""Small windows of an image, compared with those of other images at the same place and near it.

A copy that was turned, bent, dimmed, covered or mixed with another image still has windows that match far better than
those of any other image do. Which ones they are needn't be known: each window's correlations are measured against its
own with all other images, and the windows that stand out most count.
"""

import itertools

import torch
from torch.nn import functional

from copylens.imaging.correlation import standardise

MOST = 12.0  # deviations by which a window stands out, at most
LEAST = 0.03  # least deviation of a window's correlations, in units of Fisher's z
SURE = 0.99  # largest correlation that counts


def windows_of(maps_BC: torch.Tensor, size: int, step: int) -> torch.Tensor:
    """Every `step`-th window of `size` pixels a side of maps [B, C, *grid], standardised, [C, window, B, pixel]."""
    dims = maps_BC.ndim - 2
    for axis in range(2, maps_BC.ndim):
        maps_BC = maps_BC.unfold(axis, size, step)
    # Now [B, C, *windows, *pixels].
    windows = maps_BC.flatten(2 + dims).flatten(2, 1 + dims).movedim(0, 2)
    return standardise(windows.flatten(0, 2)).unflatten(0, windows.shape[:3])


def shifted(map_C: torch.Tensor, steps: tuple[int, ...]) -> torch.Tensor:
    """An image's maps [1, C, *grid] moved by each combination of steps along the axes, [shift, C, *grid]."""
    dims, reach = map_C.ndim - 2, max(map(abs, steps))
    padded = functional.pad(map_C, [reach] * (2 * dims), mode="replicate")
    views = []
    for shift in itertools.product(steps, repeat=dims):
        view = padded
        for axis, (along, size) in enumerate(zip(shift, map_C.shape[2:], strict=True), start=2):
            view = view.narrow(axis, reach + along, size)
        views.append(view)
    return torch.cat(views)


def match_windows(map_C: torch.Tensor, windows: torch.Tensor, size: int, step: int, steps: tuple[int, ...]):
    """Correlation of each window of one image with that of each of T others, the largest over shifts, [window, T].

    map_C: [1, C, *grid]; windows: those of the others, [C, window, T, pixel] (`windows_of`). Mean over channels.
    """
    own = windows_of(shifted(map_C, steps), size, step)  # [C, window, shift, pixel]
    return (own @ windows.mT).mean(dim=0).amax(dim=1)


def outstanding(correlations: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    """How far each of T images stands out among all of them in the share of windows that it does most, [share, T].

    correlations: [window, T]. In robust deviations: of each window's correlations, and again of their means.
    """
    z = _deviations(torch.atanh(correlations.clamp(-SURE, SURE)), LEAST).clamp(max=MOST)
    best = z.sort(dim=0, descending=True).values
    means = torch.stack([best[: max(1, round(share * len(best)))].mean(dim=0) for share in shares])
    return _deviations(means, 1e-3)


def _deviations(values: torch.Tensor, least: float) -> torch.Tensor:
    """Rows less their median, in units of their robust standard deviation."""
    centred = values - values.median(dim=1, keepdim=True).values
    return centred / (1.4826 * centred.abs().median(dim=1, keepdim=True).values).clamp(min=least)
