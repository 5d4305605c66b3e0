"""Small windows of an image, compared with those of many other images at the same place and near it."""

import torch
from torch.nn import functional

from copylens.imaging.correlation import standardise
from copylens.imaging.order import ascending

MOST = 12.0  # deviations by which a window stands out, at most
LEAST = 0.03  # least deviation of a window's correlations, in units of Fisher's z
SURE = 0.99  # largest correlation that counts
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
        learnt = self._cut(maps_TC[:: -(-len(maps_TC) // LEARNT_FROM)])
        self.basis = torch.linalg.eigh(learnt.mT @ learnt).eigenvectors[..., -n:]  # [window, pixel, component]
        self.codes = torch.cat([self.code(block).movedim(0, 1).half() for block in maps_TC.split(BLOCK)])

    def code(self, maps_BC: torch.Tensor) -> torch.Tensor:
        """Components of the windows of maps [B, C, *grid], [window, B, component].

        Inner products of them are correlations, the mean over channels.
        """
        return self._cut(maps_BC) @ self.basis

    def of(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Components of some images' windows, [window, component, image]."""
        return self.codes[rows].movedim(0, 2).float()

    def _cut(self, maps_BC: torch.Tensor) -> torch.Tensor:
        return windows_of(maps_BC, self.size, self.step)


def windows_of(maps_BC: torch.Tensor, size: int, step: int) -> torch.Tensor:
    """Every `step`-th window of `size` pixels a side of maps [B, C, *grid], [window, B, C x pixel].

    A side that is shorter has one window. Each channel is standardised, so that inner products are correlations, the
    mean over channels.
    """
    dims, n_channels = maps_BC.ndim - 2, maps_BC.shape[1]
    for axis, along in enumerate(maps_BC.shape[2:], start=2):
        maps_BC = maps_BC.unfold(axis, min(size, along), step)
    # Now [B, C, *windows, *pixels].
    windows = maps_BC.flatten(2 + dims).flatten(2, 1 + dims).movedim(2, 0)
    return (standardise(windows.flatten(0, 2)) / n_channels**0.5).view(*windows.shape[:2], -1)


def shifted(map_C: torch.Tensor, reach: int, stride: int = 1) -> torch.Tensor:
    """An image's maps [1, C, *grid] moved by up to `reach` pixels along each axis, [shift, C, *grid].

    The middle one is not moved. reach: a multiple of `stride`, the pixels between two shifts.
    """
    dims = map_C.ndim - 2
    padded = functional.pad(map_C, [reach] * (2 * dims), mode="replicate")
    for axis, size in enumerate(map_C.shape[2:], start=2):
        padded = padded.unfold(axis, size, stride)
    # Now [1, C, *shifts, *grid].
    return padded.flatten(2, 1 + dims)[0].movedim(1, 0)


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
        z = z.view(*shape, -1)
        for axis, along in enumerate(shape):
            z = z.unfold(axis, min(size, along), 1).mean(dim=-1)
        means.append(z.flatten(0, -2).amax(dim=0))
    return deviations(torch.stack(means), 1e-3)


def deviations(values: torch.Tensor, least: float) -> torch.Tensor:
    """Rows less their median, in units of their robust standard deviation."""
    middle = (values.shape[1] - 1) // 2
    centred = values - ascending(values)[:, middle : middle + 1]
    return centred / (1.4826 * ascending(centred.abs())[:, middle : middle + 1]).clamp(min=least)
