"""Pixelwise similarity of two aligned images."""

import torch

from copylens.imaging.correlation import standardise
from copylens.imaging.filters import box, smooth

N_LIKENESSES = 5
WIDE = 2.0  # pixels of blur, because generators blur the images that they memorize
CONTRAST = 9e-4  # of structural similarity, (0.03 x the image's range) squared


def stretch(correlation: torch.Tensor) -> torch.Tensor:
    """Correlations on a scale that separates copies of smooth images, whose correlations are all near 1."""
    return -0.5 * torch.log(1.001 - correlation)


def likenesses(images: torch.Tensor, others: torch.Tensor, width: int) -> list[torch.Tensor]:
    """`N_LIKENESSES` measures of pairs of images, both [k, 2, *grid], each [k].

    Correlation of the two channels, a sharp one and a smooth one; of the smooth one also nearness of pixels, nearness
    after a blur, and structural similarity in windows of `width` pixels.
    """
    fine, soft = (_correlation(images[:, channel], others[:, channel]) for channel in range(2))
    one, other = images[:, 1:], others[:, 1:]
    apart = one - other
    blurred = smooth(apart, [WIDE] * (apart.ndim - 2))
    return [fine, stretch(soft), _nearness(apart), _nearness(blurred), structural_similarity(one, other, width)]


def _correlation(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return (standardise(images.flatten(1)) * standardise(others.flatten(1))).sum(dim=1)


def _nearness(difference: torch.Tensor) -> torch.Tensor:
    return -torch.log(difference.flatten(1).square().mean(dim=1) + 1e-5)


def structural_similarity(images: torch.Tensor, others: torch.Tensor, width: int) -> torch.Tensor:
    """Mean structural similarity (Wang et al. 2004) without its term for brightness, of pairs [k, 1, *grid], [k]."""
    mean, other_mean = box(images, width), box(others, width)
    shared = box(images * others, width) - mean * other_mean
    spread = box(images**2, width) - mean**2 + box(others**2, width) - other_mean**2
    return ((2 * shared + CONTRAST) / (spread + CONTRAST)).flatten(1).mean(dim=1)
