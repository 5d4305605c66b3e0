"""A coarse search that preselects, among many training images, those that a query may resemble in some pose."""

from collections.abc import Callable

import torch

from copylens.imaging.correlation import standardise

COMPONENTS = 64  # compared components of an image or of a half of it
LEARNT_FROM = 2000  # training images at most, spread evenly
BLOCK = 1024  # training images that are compared at a time


class CoarseSearch:
    """The largest principal components of training images [T, channel, *grid], whole and, if set, by halves."""

    def __init__(self, images_BC: torch.Tensor, halves: bool = True):
        self.bases, self.training, self.halves = [], [], halves
        step = -(-len(images_BC) // LEARNT_FROM)
        for rows in _parts(images_BC, halves):
            basis = _principal(rows[::step])
            self.bases.append(basis)
            self.training.append(rows @ basis)

    def __call__(self, views_BC: torch.Tensor, n_halved: int = 0) -> torch.Tensor:
        """The z-score, among all training images, of each one's likeness to its best view, [T].

        Views [view, channel, *grid] are of one query; the first `n_halved` are also compared by halves. A training
        image gets the maximum over its parts.
        """
        by_part = []
        views = _parts(views_BC, self.halves)
        for number, (rows, basis, training) in enumerate(zip(views, self.bases, self.training, strict=True)):
            queries = (rows[:n_halved] if number else rows) @ basis
            best = torch.cat([(queries @ block.T).amax(dim=0) for block in training.split(BLOCK)])
            by_part.append((best - best.mean()) / best.std().clamp(min=1e-6))
        return torch.stack(by_part).amax(dim=0)


def ranked(likely: torch.Tensor, n: int, closely: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """One query's similarity to all training images, [T]: for the `n` likeliest ones, `closely` of their rows.

    The others rank below these, in the order of `likely`, the coarse search's scores.
    """
    best = likely.topk(n)
    close = closely(best.indices)
    similarity = likely + (close.min() - best.values[-1])
    similarity[best.indices] = close
    return similarity


def parts(images: torch.Tensor, halves: bool = True) -> list[torch.Tensor]:
    """Images [B, *grid] and, if set, their halves along each axis, each standardised, [B, pixel]."""
    pieces = [images]
    for axis, size in enumerate(images.shape[1:] if halves else (), start=1):
        pieces += [images.narrow(axis, 0, size // 2), images.narrow(axis, size - size // 2, size // 2)]
    return [standardise(part.flatten(1)) for part in pieces]


def _parts(images_BC: torch.Tensor, halves: bool) -> list[torch.Tensor]:
    """`parts` with concatenated channels, [B, channel x pixel]."""
    by_channel = [parts(images, halves) for images in images_BC.unbind(dim=1)]
    return [torch.cat(channels, dim=1) for channels in zip(*by_channel, strict=True)]


def _principal(rows: torch.Tensor) -> torch.Tensor:
    """The largest principal directions of rows [B, d], not centred, [d, at most COMPONENTS]."""
    return torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -COMPONENTS:]
