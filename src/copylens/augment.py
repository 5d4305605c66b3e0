"""Random flips and small rotations of a batch, 2D and 3D. Draws come from one generator, on any device."""

import torch
from torch.nn import functional


def flip_and_rotate(
    images_BC: torch.Tensor,
    flip_probability: float,
    rotation_probability: float,
    degrees: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Each image flipped along one random axis with one probability, and turned by up to +-`degrees` with another.

    images_BC: [B, C, H, W] or [B, C, D, H, W]; the result has the same shape. In 3D an image is turned about each axis
    in turn. What comes in from outside the image repeats its border. `generator` lives on the CPU.
    """
    batch, sizes = len(images_BC), images_BC.shape[2:]
    dims = len(sizes)
    flipped = torch.rand(batch, generator=generator) < flip_probability
    axis = torch.randint(dims, (batch,), generator=generator)
    turned = torch.rand(batch, generator=generator) < rotation_probability
    planes = [(0, 1)] if dims == 2 else [(0, 1), (0, 2), (1, 2)]
    angles = (2 * torch.rand(batch, len(planes), generator=generator) - 1) * torch.deg2rad(torch.tensor(degrees))
    angles = angles * turned[:, None]

    matrix = torch.eye(dims).repeat(batch, 1, 1)
    for number, (first, second) in enumerate(planes):
        cos, sin = torch.cos(angles[:, number]), torch.sin(angles[:, number])
        turn = torch.eye(dims).repeat(batch, 1, 1)
        turn[:, first, first], turn[:, first, second] = cos, -sin
        turn[:, second, first], turn[:, second, second] = sin, cos
        matrix = turn @ matrix
    signs = torch.ones(batch, dims)
    signs[flipped, axis[flipped]] = -1
    matrix = matrix * signs[:, None, :]
    # affine_grid measures each axis from -1 to 1, last axis first: turn in pixels, not in these units.
    extent = torch.tensor(sizes[::-1], dtype=torch.float32)
    matrix = matrix * extent[None, None, :] / extent[None, :, None]
    theta = torch.cat([matrix, torch.zeros(batch, dims, 1)], dim=2).to(images_BC.device)
    grid = functional.affine_grid(theta, list(images_BC.shape), align_corners=False)
    return functional.grid_sample(images_BC, grid, padding_mode="border", align_corners=False)
