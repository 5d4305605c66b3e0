"""Places of an image vote for the training images that they may come from, by their local descriptors."""

import torch
from torch.nn import functional

from copylens.imaging.filters import box
from copylens.imaging.order import ascending

REACH = 2  # cells around a place that are searched
STEPS = 2, 1  # to a cell, in 2D and 3D: cells are smaller in 3D
TEMPERATURE = 0.04  # of a vote; below the training's, because similarities are smoothed first
OWN = 0.05  # share of an image's cells that are expected to come from its source
SHARES = 0.1, 0.25, 1.0  # of an image's cells, those that speak most for a source: a copied part is enough
BLOCK = 512  # training images that are compared at a time


def keys_of(descriptors: torch.Tensor) -> torch.Tensor:
    """Descriptors of T images [T, d, *cells] as `vote` compares them, [cell, d, T]."""
    return descriptors.flatten(2).permute(2, 1, 0).contiguous()


def vote(descriptors: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Log-likelihood ratio of each of T images as an image's source, [share, T], in nats a cell: 0 for one like others.

    descriptors: the image's, [1, d, *cells]; keys: those of T images (`keys_of`); all unit vectors. Each cell compares
    the likelihood that it comes from one image, with probability `OWN`, with that of the T images' mean. For each of
    `SHARES` the best cells for each source are added up.
    """
    similarity = torch.cat([best_match(descriptors, some) for some in keys.split(BLOCK, dim=2)], dim=1)
    likelihood = torch.softmax(similarity / TEMPERATURE, dim=1) * similarity.shape[1]
    votes = torch.log1p(OWN * (likelihood - 1))
    n = len(votes)
    ordered = ascending(votes.T).flip(1)
    return torch.stack([ordered[:, : max(1, round(share * n))].sum(dim=1) / n for share in SHARES])


def best_match(descriptors: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Similarity of each cell of T images with the cells near the same place in one image, the largest, [cell, T].

    The similarities of one shift are averaged over neighbouring cells: neighbours that agree on a shift count more.
    """
    *cells, dims = *descriptors.shape[2:], descriptors.ndim - 2
    steps, mode = STEPS[dims - 2], ("bilinear", "trilinear")[dims - 2]
    between = functional.interpolate(
        descriptors, [steps * (size - 1) + 1 for size in cells], mode=mode, align_corners=True
    )
    padded = functional.pad(functional.normalize(between, dim=1), [steps * REACH] * (2 * dims))
    for axis in range(2, 2 + dims):
        padded = padded.unfold(axis, 2 * steps * REACH + 1, steps)
    shifted = padded[0].flatten(1 + dims).flatten(1, dims).permute(1, 2, 0)  # [cell, shift, d]
    similarity = shifted @ keys  # [cell, shift, T]
    similarity = box(similarity.unflatten(0, cells)[None, None], 3, n_axes=dims)
    return similarity.flatten(2, 1 + dims)[0, 0].amax(dim=1)
