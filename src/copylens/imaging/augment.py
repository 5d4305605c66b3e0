"""Random flips and small rotations of a batch, 2D and 3D. Draws come from one generator, on any device."""

import torch

from copylens.imaging.warps import planes, rotation, warp


def flip_and_rotate(
    images_BC: torch.Tensor,
    flip_probability: float,
    rotation_probability: float,
    degrees: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Each image flipped along one random axis with one probability, and turned by up to +-`degrees` with another.

    images_BC: [B, C, H, W] or [B, C, D, H, W]; the result has the same shape. In 3D an image is turned about each axis
    in turn. Pixels from outside the image repeat its border. `generator` lives on the CPU.
    """
    batch, dims = len(images_BC), images_BC.ndim - 2
    flipped = torch.rand(batch, generator=generator) < flip_probability
    axis = torch.randint(dims, (batch,), generator=generator)
    turned = torch.rand(batch, generator=generator) < rotation_probability
    angles = (2 * torch.rand(batch, len(planes(dims)), generator=generator) - 1) * torch.deg2rad(torch.tensor(degrees))
    matrix = rotation(angles * turned[:, None], dims)
    signs = torch.ones(batch, dims)
    signs[flipped, axis[flipped]] = -1
    return warp(images_BC, matrix * signs[:, None, :])
