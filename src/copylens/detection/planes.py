"""2D networks on volumes: features of slices in three planes, where no network for volumes is at hand."""

from collections.abc import Callable

import torch

POSITIONS = (0.25, 0.5, 0.75)  # of the slices along each axis


def features_by_plane(network: Callable[[torch.Tensor], torch.Tensor], images_BC: torch.Tensor) -> torch.Tensor:
    """Features [B, 3 d] of volumes [B, 1, D, H, W]: those of three slices across each axis, their mean by axis.

    network: images [B, 1, *size] to features [B, d]. Raises ValueError for images that aren't volumes.
    """
    if images_BC.ndim != 5:
        raise ValueError("planes: 2D images have no slices; leave it out")
    means = []
    for axis in (2, 3, 4):
        places = [int(position * images_BC.shape[axis]) for position in POSITIONS]
        means.append(torch.stack([network(images_BC.select(axis, place)) for place in places]).mean(dim=0))
    return torch.cat(means, dim=1)
