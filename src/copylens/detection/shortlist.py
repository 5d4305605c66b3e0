"""Coarse searches that preselect, among many training images, those that a query may resemble in some pose or part."""

from collections.abc import Callable

import torch

from copylens.imaging.correlation import standardise

COMPONENTS, FEWER = 64, 32  # compared components of an image and of a window
LEARNT_FROM = 2000  # training images at most, spread evenly
BLOCK = 1024  # training images that are compared at a time
LEAST, MOST = 0.02, 6.0  # deviation of a window's correlations, at least; deviations by which one stands out, at most


class CoarseSearch:
    """The largest principal components of training images [T, channel, *grid]."""

    def __init__(self, images_TC: torch.Tensor):
        rows = _rows(images_TC)
        self.basis = _principal(rows[:: -(-len(rows) // LEARNT_FROM)])
        self.training = rows @ self.basis

    def __call__(self, views_BC: torch.Tensor) -> torch.Tensor:
        """The z-score, among all training images, of each one's likeness to its best view of one query, [T].

        views_BC: [view, channel, *grid].
        """
        queries = _rows(views_BC) @ self.basis
        best = torch.cat([(queries @ block.T).amax(dim=0) for block in self.training.split(BLOCK)])
        return (best - best.mean()) / best.std().clamp(min=1e-6)


class WindowSearch:
    """Components of windows of training images, [window, T, component], the largest of which are kept."""

    def __init__(self, codes_WT: torch.Tensor):
        self.training = codes_WT[..., -FEWER:].contiguous()

    def __call__(self, codes_BWS: torch.Tensor) -> torch.Tensor:
        """How far training images stand out in windows of queries, a few or all of them, [B, T].

        codes_BWS: components of the windows at each shift, [B, window, shift, component]; the best shift counts.
        """
        n, _, n_shifts, _ = codes_BWS.shape
        shifts = codes_BWS[..., -FEWER:].movedim(0, 1).flatten(1, 2)
        blocks = ((shifts @ block.mT).unflatten(1, (n, n_shifts)) for block in self.training.split(BLOCK, dim=1))
        alike = torch.cat([block.amax(dim=2) for block in blocks], dim=2)  # [window, B, T]
        alike -= alike.mean(dim=2, keepdim=True)
        spread = alike.norm(dim=2, keepdim=True) / alike.shape[2] ** 0.5
        return (alike / spread.clamp(min=LEAST)).clamp_(0, MOST).pow_(3).mean(dim=0)


def ranked(likely: torch.Tensor, n: int, closely: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """One query's similarity to all training images, [T]: for the `n` likeliest ones, `closely` of their rows.

    The others rank below these, in the order of `likely`, the coarse search's scores.
    """
    best = likely.topk(n)
    close = closely(best.indices)
    similarity = likely + (close.min() - best.values[-1])
    similarity[best.indices] = close
    return similarity


def _rows(images_BC: torch.Tensor) -> torch.Tensor:
    """Images [B, channel, *grid] as rows whose inner products sum the channels' correlations, [B, channel x pixel]."""
    return torch.cat([standardise(images.flatten(1)) for images in images_BC.unbind(dim=1)], dim=1)


def _principal(rows: torch.Tensor) -> torch.Tensor:
    """The largest principal directions of rows [B, d], not centred, [d, at most COMPONENTS]."""
    return torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -COMPONENTS:]
