"""Small windows of an image, compared with those of many other images at the same place and near it."""

from collections.abc import Callable
from math import prod

import torch
from torch.nn import functional

from copylens.imaging.correlation import standardise
from copylens.imaging.order import ascending

MOST = 12.0  # deviations by which a window stands out, at most
LEAST = 0.03  # least deviation of a window's correlations, in units of Fisher's z
SURE = 0.99  # largest correlation that counts
FLAT = 1e-4  # deviation of a window's pixels, as a share of their mean, below which it is rounding
BLOCK = 512  # images whose windows are cut at a time
LEARNT_FROM = 1024  # images, at most, spread evenly, from which components are learnt


class Windows:
    """Windows of T images' maps [T, C, *grid]: every `step`-th one of `size` pixels a side, by their components.

    A side that is shorter has one window. Of each place the `n` largest principal components of all images' windows are
    kept, in half precision.
    """

    def __init__(self, maps_TC: torch.Tensor, size: int, step: int, n: int):
        self.size, self.step = size, step
        # Windows along each axis.
        self.shape = [(along - min(size, along)) // step + 1 for along in maps_TC.shape[2:]]
        learnt = windows_of(maps_TC[:: -(-len(maps_TC) // LEARNT_FROM)], size, step)
        basis = torch.linalg.eigh(learnt.mT @ learnt).eigenvectors[..., -n:]  # [window, C x pixel, component]
        # What a constant adds to a channel doesn't count, [C, window, pixel, component].
        basis = basis.unflatten(1, (maps_TC.shape[1], -1)).movedim(1, 0)
        self.basis = basis - basis.mean(dim=2, keepdim=True)
        self.codes = torch.cat([self.code(block).movedim(0, 1).half() for block in maps_TC.split(BLOCK)])

    def code(self, maps_BC: torch.Tensor, reach: int = 0, stride: int = 1) -> torch.Tensor:
        """Components of the windows of maps [B, C, *grid], [window, B x shift, component].

        Inner products of them are correlations, the mean over channels. reach: the maps are moved by up to so many
        pixels along each axis, every `stride`-th; a multiple of it, so that the middle shift moves nothing.
        """
        padded = functional.pad(maps_BC, [reach] * (2 * (maps_BC.ndim - 2)), mode="replicate") if reach else maps_BC
        pixels = _pieces(padded, maps_BC.shape[2:], self.size, self.step, stride)
        norm = _norms(padded, maps_BC.shape[2:], self.size, self.step, stride)
        components = (pixels @ self.basis) / (norm * maps_BC.shape[1] ** 0.5)[..., None]
        return components.sum(dim=0)

    def of(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Components of some images' windows, [window, image, component]."""
        return self.codes[rows].movedim(0, 1).float()


def windows_of(maps_BC: torch.Tensor, size: int, step: int) -> torch.Tensor:
    """Every `step`-th window of `size` pixels a side of maps [B, C, *grid], [window, B, C x pixel].

    A side that is shorter has one window. Each channel is standardised, so that inner products are correlations, the
    mean over channels.
    """
    pixels = _pieces(maps_BC, maps_BC.shape[2:], size, step)
    standardised = standardise(pixels.flatten(0, 2)).view(pixels.shape)
    return standardised.movedim(0, 2).flatten(2) / maps_BC.shape[1] ** 0.5


def _pieces(padded_BC: torch.Tensor, sizes: torch.Size, size: int, step: int, stride: int = 1) -> torch.Tensor:
    """Windows of maps [B, C, *padded] at each shift by which `sizes` fit into them, [C, window, B x shift, pixel]."""
    dims = len(sizes)
    for axis, along in enumerate(sizes):
        # The axis becomes that of shifts; windows and their pixels come last.
        padded_BC = padded_BC.unfold(2 + axis, along, stride).unfold(-1, min(size, along), step)
    # Now [B, C, *shifts, window, pixel, window, pixel, ..].
    shifts, windows = range(2, 2 + dims), range(2 + dims, 2 + 3 * dims, 2)
    pixels = padded_BC.permute(1, *windows, 0, *shifts, *(axis + 1 for axis in windows))
    return pixels.flatten(1 + 2 * dims + 1).flatten(1 + dims, 1 + 2 * dims).flatten(1, dims)


def _norms(padded_BC: torch.Tensor, sizes: torch.Size, size: int, step: int, stride: int) -> torch.Tensor:
    """Norm of each of `_pieces` less its mean, [C, window, B x shift]."""
    dims, width = len(sizes), [min(size, along) for along in sizes]
    mean: Callable = (functional.avg_pool2d, functional.avg_pool3d)[dims - 2]
    maps = padded_BC.double()  # a difference of two sums of squares
    constant = mean(maps, width, 1).square()
    variance = (mean(maps.square(), width, 1) - constant).clamp(min=FLAT**2 * constant)
    norm = (variance * prod(width)).sqrt().clamp(min=1e-6).to(padded_BC.dtype)  # of the window that begins here
    starts = torch.Size([along - wide + 1 for along, wide in zip(sizes, width, strict=True)])
    return _pieces(norm, starts, 1, step, stride)[..., 0]


def fisher(correlations: torch.Tensor) -> torch.Tensor:
    """Fisher's z of correlations, which count up to `SURE`."""
    return torch.atanh(correlations.clamp(-SURE, SURE))


def outstanding(z: torch.Tensor, shares: tuple[float, ...], regions: tuple[int, ...] = ()) -> torch.Tensor:
    """How far each of T images stands out among all of them in the windows where it does most, [share + region, T].

    z: `fisher` of each window's correlation, [*windows, T]. shares: of all windows, wherever they are; regions: so many
    windows along each axis, side by side. In robust deviations: of each window's z, and again of their means.
    """
    shape = z.shape[:-1]
    z = deviations(z.flatten(0, -2), LEAST).clamp(max=MOST)  # [window, T]
    values = ascending(z.T.contiguous())  # [T, window]
    means = [values[:, -max(1, round(share * len(z))) :].mean(dim=1) for share in shares]
    for size in regions:
        region = z.view(*shape, -1)
        for axis, along in enumerate(shape):
            region = region.unfold(axis, min(size, along), 1).mean(dim=-1)
        means.append(region.flatten(0, -2).amax(dim=0))
    return deviations(torch.stack(means), 1e-3)


def deviations(values: torch.Tensor, least: float) -> torch.Tensor:
    """Rows less their median, in units of their robust standard deviation."""
    n, middle = values.shape[1], (values.shape[1] - 1) // 2
    inorder = ascending(values)
    median = inorder[:, middle : middle + 1]
    inorder = inorder - median
    # The median of the absolute values, without sorting again: the narrowest interval that holds so many of them.
    spread = torch.maximum(-inorder[:, : n - middle], inorder[:, middle:]).amin(dim=1, keepdim=True)
    return (values - median) / (1.4826 * spread).clamp(min=least)
