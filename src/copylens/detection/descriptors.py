"""A network of dense local descriptors, and the loss by which it learns them from views of unlabelled images.

Each cell of an image, a few pixels a side, has a descriptor, a unit vector. The network learns that descriptors of the
same place agree in an image and in a strongly changed view of it, and that those of the same place in other images
don't: InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, equation 4) on places, as in dense contrastive learning
(Wang et al. 2021, arXiv 2011.09157).
"""

import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from copylens.imaging.filters import local_normalise
from copylens.imaging.views import Views
from copylens.jobs.lean_monai import blocks, nets

STRIDES = 4, 2  # pixels a side of a cell, in 2D and 3D
NORMALISED = 0.7, 4.0, 0.1  # of the second input channel, see `filters.local_normalise`
FLAT = 1e-3  # mean change from pixel to pixel, below which there is nothing to see
SAMPLED = 32  # cells of each view in a step, at most
COMPARED = 512  # cells of each image that they are compared with, at most
LEAST_OWN = 0.25  # share of a cell that must come from its image
NEAR = 2  # cells around a place, within which other images' descriptors count in full
FAR = -1.5  # added to the logits of those further off: there are many, and they are easy
SAME = 1  # cells around a place that are no negatives in its own image


class DescriptorNetwork(nn.Module):
    """Images [B, 1, *grid], each side a multiple of its `STRIDES`, to descriptors [B, d, *cells]."""

    def __init__(self, dims: int, widths: list[int], d: int):
        super().__init__()
        self.dims = dims
        convolution = (nn.Conv2d, nn.Conv3d)[dims - 2]
        first, second = widths
        layer = functools.partial(blocks.Convolution, dims, act="relu", norm="batch", bias=False)
        self.features = nn.Sequential(
            layer(2, first, kernel_size=5, strides=2),
            layer(first, first),
            layer(first, second, strides=STRIDES[dims - 2] // 2),
            *(nets.ResNetBlock(second, second, dims) for _ in range(2)),
        )
        self.head = nn.Sequential(convolution(second, second, 1), nn.ReLU(), convolution(second, d, 1))

    def forward(self, images_BC: torch.Tensor) -> torch.Tensor:
        axes = tuple(range(1, images_BC.ndim))
        deviation = images_BC.std(dim=axes, keepdim=True) + 0.05
        whole = (images_BC - images_BC.mean(dim=axes, keepdim=True)) / deviation
        channels = torch.cat([whole, local_normalise(images_BC, *NORMALISED)], dim=1)
        # Convolutions on a processor are a third faster with the channels last.
        layout = (torch.channels_last, torch.channels_last_3d)[self.dims - 2]
        features = self.features(channels.contiguous(memory_format=layout))
        return functional.normalize(self.head(features).float(), dim=1)


def has_structure(images_BC: torch.Tensor) -> torch.Tensor:
    """Which cells change along every axis, [B, 1, *cells]; a repeated border and a covered part don't."""
    dims = images_BC.ndim - 2
    pool = (functional.avg_pool2d, functional.avg_pool3d)[dims - 2]
    slopes = torch.gradient(images_BC, dim=list(range(2, 2 + dims)))
    changes = torch.stack([pool(slope.abs(), STRIDES[dims - 2]) for slope in slopes]).amin(dim=0)
    return (changes > FLAT).float()


def correspondence_loss(
    of_views: torch.Tensor,
    of_images: torch.Tensor,
    views: Views,
    temperature: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """InfoNCE of descriptors of views with those of their images, both [B, d, *cells]; 0 if no cell shows its image.

    The positive is the image's descriptor at the place that a cell comes from. The negatives are all other images'
    descriptors, those near that place above all, and the image's own elsewhere.
    """
    batch, d, *cells = of_views.shape
    dims, device = len(cells), of_views.device
    rows, places, counts = _sampled(views, cells, generator)
    n = rows.shape[1]
    query = of_views.flatten(2).gather(2, rows[:, None].expand(-1, d, -1)).mT  # [B, n, d]
    at = places.view(batch, n, *[1] * (dims - 1), dims)
    positive = functional.grid_sample(of_images, at, padding_mode="border", align_corners=False)
    positive = functional.normalize(positive.flatten(2), dim=1).mT  # [B, n, d]
    kept = torch.randperm(of_images[0, 0].numel(), generator=generator)[:COMPARED].to(device)
    keys = of_images.flatten(2)[:, :, kept].mT.reshape(-1, d)  # [B x cell, d]
    axes = [torch.arange(size, device=device) for size in cells]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1).flatten(0, -2)[kept]  # [cell, dims]
    own = ((places + 1) / 2 * torch.tensor(cells[::-1], device=device) - 0.5).round()
    distance = (own[:, :, None] - centres).abs().amax(dim=-1)  # [B, n, cell], in cells
    offset = torch.where(distance <= NEAR, 0.0, FAR)[:, :, None].repeat(1, 1, batch, 1)
    every = torch.arange(batch, device=device)
    offset[every, :, every] = torch.where(distance <= SAME, -1e4, offset[every, :, every])
    with torch.autocast(device.type, enabled=False):
        negative = torch.addmm(offset.view(batch * n, -1), query.reshape(-1, d) / temperature, keys.T)
        margin = torch.logsumexp(negative, dim=1).view(batch, n) - (query * positive).sum(dim=-1) / temperature
    return (functional.softplus(margin) * counts).sum() / counts.sum().clamp(min=1)


def _sampled(views: Views, cells: list[int], generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Some cells of each view that show its image: rows [B, n], places in the image [B, n, dims], and which count."""
    dims = len(cells)
    pool: Callable = (functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)[dims - 2]
    own = pool(views.own[:, None], cells).flatten(1)
    drawn = torch.rand(own.shape, generator=generator).to(own.device) + (own >= LEAST_OWN)
    rows = drawn.topk(min(SAMPLED, own.shape[1]), dim=1).indices
    places = pool(views.places.movedim(-1, 1), cells).flatten(2).mT
    return rows, places.gather(1, rows[..., None].expand(-1, -1, dims)), (own.gather(1, rows) >= LEAST_OWN).float()
