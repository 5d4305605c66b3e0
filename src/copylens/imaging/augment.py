"""Random flips and small rotations of a batch, 2D and 3D, and grey values through curves, on any device.

Draws come from one generator.
"""

import torch
from torch.nn import functional

from copylens.imaging.warps import look, planes, rotation


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
    chances = flip_probability, rotation_probability, degrees
    return moved(images_BC, *draw_moves(len(images_BC), images_BC.ndim - 2, *chances, generator))


def draw_moves(
    batch: int,
    dims: int,
    flip_probability: float,
    rotation_probability: float,
    degrees: float,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `flip_and_rotate` does with each image: signs [B, axis], -1 where flipped; angles [B, plane], in radians."""
    flipped = torch.rand(batch, generator=generator) < flip_probability
    axis = torch.randint(dims, (batch,), generator=generator)
    turned = torch.rand(batch, generator=generator) < rotation_probability
    angles = (2 * torch.rand(batch, len(planes(dims)), generator=generator) - 1) * torch.deg2rad(torch.tensor(degrees))
    signs = torch.ones(batch, dims)
    signs[flipped, axis[flipped]] = -1
    return signs, angles * turned[:, None]


def moved(images_BC: torch.Tensor, signs: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """The images, flipped and turned as `draw_moves` says."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    # By torch's affine_grid, whose positions differ from those of `warp` by rounding: a training's bits rest on them.
    sizes = images_BC.shape[2:]
    extent = torch.tensor(sizes[::-1], dtype=torch.float32)  # turn in pixels, not in shares of each side
    matrix = rotation(angles, dims) * signs[:, None, :] * extent[None, None, :] / extent[None, :, None]
    matrix = torch.cat([matrix, torch.zeros(batch, dims, 1)], dim=2)
    return look(images_BC, functional.affine_grid(matrix, [batch, 1, *sizes], align_corners=False).to(images_BC.device))


def through_curves(images_BC: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Grey values [B, C, *grid] in [0, 1] through rising curves from 0 to 1, linear between knots at equal distances.

    steps: [B, knots], positive: how far each curve rises up to each knot, relative to the others.
    """
    n = steps.shape[1]
    rising = steps.cumsum(dim=1) / steps.sum(dim=1, keepdim=True)
    knots = torch.cat([torch.zeros_like(steps[:, :1]), rising], dim=1)
    place = images_BC.flatten(1).clamp(0, 1) * n
    low = place.floor().clamp(max=n - 1).long()
    below, above = knots.gather(1, low), knots.gather(1, low + 1)
    return (below + (place - low) * (above - below)).view_as(images_BC)
