"""Strongly changed views of images, 2D and 3D, and where each pixel of a view comes from.

Networks learn from them which parts of two images correspond. A view is drawn in four stages: parts of other images
come in, the whole is moved and bent, grey values change, and the acquisition spoils it. Each stage leaves some views as
they are, so that unchanged images, too, are learnt.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from copylens.imaging import acquisition
from copylens.imaging.augment import through_curves
from copylens.imaging.filters import smooth
from copylens.imaging.warps import look, places_of, planes, rotation

# Largest changes, or standard deviations where draws are normal; angles in degrees, lengths as shares of the side.
DEGREES, ZOOM, SHIFT, SKEW, RISE, BEND = (35.0, 20.0), 1.4, 0.2, 0.12, 0.2, 0.035
LAID = 0.1  # share of views that are also mirrored, turned by quarters or transposed
INVERTED = 0.15
KNOTS = 6  # of a curve of grey values
OTHERS = 0.3, 0.7  # share of the other image in a mixture
MARKS = 6
VISIBLE = 1.02  # places further out, from -1 to 1, show the repeated border


class Views(NamedTuple):
    images: torch.Tensor  # [B, 1, *grid] in [0, 1]
    places: torch.Tensor  # [B, *grid, dims], of each pixel in its image (see `copylens.imaging.warps.look`)
    own: torch.Tensor  # [B, *grid], share of each pixel that comes from its image, 0 for none


def draw_views(images_BC: torch.Tensor, generator: torch.Generator | None = None) -> Views:
    """A view of each image [B, 1, *grid] in [0, 1]. Draws are made on the CPU; other images are those of the batch."""
    mixed, own = _mixed(images_BC, generator)
    places = _places(images_BC, generator)
    moved = look(torch.cat([mixed, own], dim=1), places)
    seen = (places.abs().amax(dim=-1) <= VISIBLE).float()
    images, own = moved[:, :1], moved[:, 1] * seen
    for change, share in INTENSITY.items():
        images = _changed(change, torch.rand(len(images), generator=generator) < share, images, generator)
    images, own = _covered(images, own, generator)
    # Up to two of the changes, a third of the views has none.
    drawn = torch.randint(3 * len(ACQUISITION), (2, len(images)), generator=generator)
    for round_, (way, change) in itertools.product(drawn, enumerate(ACQUISITION)):
        images = _changed(change, round_ == way, images, generator)
    return Views(images, places, own)


def _changed(change: Callable, chosen: torch.Tensor, images: torch.Tensor, generator) -> torch.Tensor:
    """The images, the `chosen` ones changed."""
    rows = chosen.nonzero()[:, 0].to(images.device)
    if len(rows):
        changed = change(images[rows], generator).clamp(0, 1)
        images = images.index_copy(0, rows, changed.to(images.device))
    return images


def _uniform(low: float, high: float, shape: tuple | int, generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _wide(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Values [B] as [B, 1, 1, ..] beside images."""
    return values.to(images.device).view(-1, *[1] * (images.ndim - 1))


def _field(images: torch.Tensor, channels: int, generator) -> torch.Tensor:
    """Smooth random fields, about -1 to 1 each, [B, channels, *grid]."""
    dims, cells = images.ndim - 2, int(torch.randint(3, 8, (1,), generator=generator))
    knots = torch.randn(len(images), channels, *[cells] * dims, generator=generator).to(images.device)
    mode = ("bicubic", "trilinear")[dims - 2]
    return functional.interpolate(knots, images.shape[2:], mode=mode, align_corners=True)


def _boxes(images: torch.Tensor, low: float, high: float, generator) -> torch.Tensor:
    """A random box of each image, with sides of `low` to `high` of its own, as a mask [B, 1, *grid]."""
    batch, sizes = len(images), images.shape[2:]
    mask = torch.ones(batch, 1, *sizes)
    for axis, size in enumerate(sizes):
        length = _uniform(low, high, batch, generator)
        start = torch.rand(batch, generator=generator) * (1 - length)
        pixel = (torch.arange(size) + 0.5) / size
        within = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
        shape = [batch, *[1] * (len(sizes) + 1)]
        shape[axis + 2] = size
        mask = mask * within.view(shape)
    return mask.to(images.device)


def _mixed(images: torch.Tensor, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with other images' parts, and the share of each pixel that is its own image's, both [B, 1, *grid].

    One half of the images stay as they are; of the others a third each is mixed with another image, keeps a part alone,
    or has some boxes of others.
    """
    batch, dims = len(images), images.ndim - 2
    way = torch.randint(6, (batch,), generator=generator)
    own = torch.ones_like(images)
    share = _wide(1 - _uniform(*OTHERS, batch, generator), images)
    own = torch.where(_wide(way == 0, images), share, own)
    kept = _boxes(images, 0.35, 0.8, generator)
    centre, width = _uniform(-0.5, 0.5, (batch, dims), generator), _uniform(0.4, 0.9, batch, generator)
    grid = places_of(images.shape[2:], torch.eye(dims).repeat(batch, 1, 1)).to(images.device)
    distance = (grid - centre.to(images.device).view(batch, *[1] * dims, dims)).norm(dim=-1)[:, None]
    ellipse = torch.sigmoid((_wide(width, images) - distance) / 0.05)
    part = torch.where(_wide(torch.rand(batch, generator=generator) < 0.5, images), kept, ellipse)
    own = torch.where(_wide(way == 1, images), part, own)
    boxes = torch.stack([_boxes(images, 0.25, 0.6, generator) for _ in range(2)]).amax(dim=0)
    own = torch.where(_wide(way == 2, images), 1 - boxes, own)
    other = images.roll(1 + int(torch.randint(max(1, batch - 1), (1,), generator=generator)), 0)
    return own * images + (1 - own) * other, own


def _places(images: torch.Tensor, generator) -> torch.Tensor:
    """Where each pixel of a view lies in its image, [B, *grid, dims]; a tenth of the images isn't moved."""
    batch, dims = len(images), images.ndim - 2
    size = torch.rand(batch, generator=generator)
    size = torch.where(size < 0.1, torch.zeros(()), size)
    angles = torch.deg2rad(DEGREES[dims - 2] * _uniform(-1, 1, (batch, len(planes(dims))), generator))
    skew = torch.eye(dims) + SKEW * size[:, None, None] * torch.randn(batch, dims, dims, generator=generator)
    zoom = ZOOM ** (size * _uniform(-1, 1, batch, generator))
    matrix = rotation(angles * size[:, None], dims) @ skew * zoom[:, None, None]
    laid = torch.rand(batch, generator=generator) < LAID
    for row in laid.nonzero()[:, 0].tolist():
        axes = torch.eye(dims)[torch.randperm(dims, generator=generator)]
        matrix[row] = matrix[row] @ (axes * (2.0 * torch.randint(2, (dims,), generator=generator) - 1))
    shift = SHIFT * size[:, None] ** 0.5 * _uniform(-1, 1, (batch, dims), generator)
    places = places_of(images.shape[2:], matrix, shift).to(images.device)
    rise = RISE * size[:, None] * torch.randn(batch, dims, generator=generator)
    rise = rise * (torch.rand(batch, 1, generator=generator) < 0.3)
    plane = torch.einsum("b...d,bd->b...", places, rise.to(images.device))
    places = places / (1 + plane).clamp(min=0.4)[..., None]
    bend = BEND * 2 * size * (torch.rand(batch, generator=generator) < 0.6)
    return places + _wide(bend, places) * _field(images, dims, generator).movedim(1, -1)


def _curve(images, generator):
    """Grey values through a rising curve."""
    batch = len(images)
    steps = torch.exp(1.2 * torch.randn(batch, KNOTS, generator=generator)).to(images.device)
    return through_curves(images, steps)


def _inverted(images, generator):
    return 1 - images


def _bias(images, generator):
    """Multiplied by a smooth field."""
    amount = _wide(_uniform(0.1, 0.6, len(images), generator), images)
    return images * (1 + amount * _field(images, 1, generator))


def _local(images, generator):
    """Contrast evened out over a neighbourhood."""
    # Of few widths, because their matrices are kept.
    share = int(torch.randint(2, 7, (1,), generator=generator)) / 32
    width = [share * size for size in images.shape[2:]]
    mean = smooth(images, width)
    deviation = torch.sqrt(smooth((images - mean) ** 2, width) + 0.05**2)
    amount = _wide(_uniform(0.2, 1.0, len(images), generator), images)
    return (1 - amount) * images + amount * (0.5 + 0.22 * (images - mean) / deviation)


def _posterised(images, generator):
    levels = _wide(torch.randint(3, 10, (len(images),), generator=generator).float(), images)
    return torch.minimum((images * levels).floor(), levels - 1) / (levels - 1)


def _covered(images, own, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of one grey value over some images, small ones or larger ones."""
    batch = len(images)
    way = _wide(torch.randint(5, (batch,), generator=generator), images)
    for _ in range(MARKS):
        grey = _wide(torch.rand(batch, generator=generator), images)
        hidden = torch.where(way == 0, _boxes(images, 0.15, 0.4, generator), _boxes(images, 0.03, 0.25, generator))
        hidden = hidden * (way < 2) * _wide(torch.rand(batch, generator=generator) < 0.7, images)
        images, own = images * (1 - hidden) + grey * hidden, own * (1 - hidden[:, 0])
    return images, own


def _noise(images, generator):
    amount = _wide(_uniform(0.02, 0.15, len(images), generator), images)
    return images + amount * torch.randn(images.shape, generator=generator).to(images.device)


def _blurred(images, generator):
    width = int(torch.randint(2, 9, (1,), generator=generator)) / 4
    return smooth(images, [width] * (images.ndim - 2))


def _coarse(images, generator):
    return acquisition.coarser(images, float(_uniform(0.4, 0.9, 1, generator)))


def _salted(images, generator):
    return acquisition.salt_and_pepper(images.cpu(), float(_uniform(0.02, 0.18, 1, generator)), generator)


def _ghosts(images, generator):
    return acquisition.ghosts(images.cpu(), 0.08 * _uniform(-1, 1, len(images), generator), 0.5, generator)


def _truncated(images, generator):
    return acquisition.truncated(images.cpu(), _uniform(0.4, 0.9, len(images), generator))


def _undersampled(images, generator):
    return acquisition.undersampled(images.cpu(), float(_uniform(0.45, 0.9, 1, generator)), generator)


INTENSITY: dict[Callable, float] = {
    **{_curve: 0.4, _bias: 0.25, _local: 0.2, _posterised: 0.1, _inverted: INVERTED},
}
ACQUISITION = (_noise, _noise, _blurred, _coarse, _salted, _ghosts, _truncated, _undersampled)
