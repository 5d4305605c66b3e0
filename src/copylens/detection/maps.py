"""The maps of images that detectors compare, locally normalised and smoothed, and their windows once registered."""

import torch

from copylens.imaging.filters import local_normalise, resize, smooth
from copylens.imaging.order import ascending
from copylens.imaging.registration import match, windows_in_place

# Pixels, in 2D and 3D: smoothing, and the neighbourhood of local normalisation; the last channel is only smoothed.
SCALES = (((1.0, 4.0), (2.0, 6.0)), ((0.7, 2.5), (1.2, 4.0)))
SMOOTHED = (1.0, 0.7)
N_CHANNELS, FINE, WIDE, SMOOTH = 3, 0, 1, 2
FLOOR = 0.1  # of the local deviation, as a share of the image's range
EDGE = 1 / 8  # of each side, left out where a query is registered to a candidate
HALF_STEPS, STEPS = 3, 2  # of the alignment, at half the resolution and at all of it
REACH, WINDOWS = ((3, 1), (2, 1)), ((7, 13), (5, 7))  # of the registration, coarse and fine, in 2D and 3D


def maps_of(images_BC: torch.Tensor, grid: list[int]) -> torch.Tensor:
    """[B, channel, *grid] of images [B, 1, *any]: locally normalised at two scales, and smoothed."""
    images_BC, dims = resize(images_BC, grid), len(grid)
    smoothed = smooth(images_BC, [SMOOTHED[dims - 2]] * dims)
    normalised = [local_normalise(images_BC, *scale, FLOOR) for scale in SCALES[dims - 2]]
    return torch.cat([*normalised, smoothed], dim=1)


def inside(sizes: list[int]) -> tuple[slice, ...]:
    """The part of [B, channel, *sizes] within the edge."""
    edges = [round(EDGE * size) for size in sizes]
    return (slice(None), slice(None), *(slice(edge, size - edge) for edge, size in zip(edges, sizes, strict=True)))


def matched_windows(views: tuple[torch.Tensor, torch.Tensor], candidates_BC: torch.Tensor) -> torch.Tensor:
    """Correlation of each window of candidates [k, channel, *grid] with its match in the query, [k, *windows].

    views: the query in two ways, each [k, 1, *grid], of the first channel. Of each candidate the way counts that
    matches better in the best third of its windows.
    """
    dims, fixed = candidates_BC.ndim - 2, candidates_BC[:, :1]
    width = WINDOWS[dims - 2][1]
    step = width // 3
    best = torch.stack([_best_third(windows_in_place(view, fixed, width, 2 * step)) for view in views]).argmax(dim=0)
    chosen = torch.where(best.view(-1, *[1] * (dims + 1)) == 0, *views)
    return match(chosen, fixed, REACH[dims - 2], WINDOWS[dims - 2], step)


def _best_third(windows_B: torch.Tensor) -> torch.Tensor:
    values = ascending(windows_B.flatten(1))
    return values[:, -(values.shape[1] // 3) :].mean(dim=1)
