"""Changes of an image's content: marks over it, parts of it hidden, or parts of it among other patients' images.

Each has one severity from 0 to 1 and random parameters, as the families of `copylens.evaluation.families` have.
"""

import numpy as np
import torch

from copylens.imaging.warps import places_of

MARKS = 12
OTHERS = 0.2, 0.8  # share of the other image in a mixture
PIECES = 2, 16  # of a collage
ORGAN = 0.8, 0.4  # of the sides that an organ fills
OCCLUDED = 0.6  # of the image, at most


def devices(images_BC, partners_BC, severity, generator):
    """Burnt-in letters and the wires and plates of devices: bright bars and blocks."""
    marked = images_BC.clone()
    for image in marked:
        for _ in range(round(MARKS * severity)):
            _mark(image[0], generator)
    return marked


def _mark(image: torch.Tensor, generator: torch.Generator) -> None:
    """One bright block or bar, in place."""
    sizes = image.shape
    thin = int(torch.randint(image.ndim + 1, (1,), generator=generator))
    where = []
    for axis, size in enumerate(sizes):
        share = 0.05 if axis == thin else 0.05 + 0.25 * float(torch.rand(1, generator=generator))
        length = max(1, round(share * size))
        start = int(torch.randint(size - length + 1, (1,), generator=generator))
        where.append(slice(start, start + length))
    image[tuple(where)] = 0.7 + 0.3 * float(torch.rand(1, generator=generator))


def mixture(images_BC, partners_BC, severity, generator):
    """20 to 80 % of another patient's image."""
    share = _along(OTHERS, severity)
    return (1 - share) * images_BC + share * partners_BC


def collage(images_BC, partners_BC, severity, generator):
    """One of 2 to 16 pieces, in its place; the others are of other patients."""
    low, high = PIECES
    pieces = round(low * (high / low) ** severity)
    made = []
    for number, image in enumerate(images_BC):
        others = [partners_BC[(number + step) % len(partners_BC)] for step in range(pieces - 1)]
        made.append(_patchwork([image, *others], generator))
    return torch.stack(made)


def _patchwork(images: list[torch.Tensor], generator: torch.Generator) -> torch.Tensor:
    """Boxes, halved until there are as many as images, filled with what the images have there."""
    boxes = [tuple(slice(0, size) for size in images[0].shape[1:])]
    while len(boxes) < len(images):
        boxes.sort(key=lambda box: np.prod([side.stop - side.start for side in box]))
        box = boxes.pop()
        axis = int(np.argmax([side.stop - side.start for side in box]))
        middle = (box[axis].start + box[axis].stop) // 2
        boxes += [(*box[:axis], slice(box[axis].start, middle), *box[axis + 1 :])]
        boxes += [(*box[:axis], slice(middle, box[axis].stop), *box[axis + 1 :])]
    made = images[0].clone()
    for image, number in zip(images, torch.randperm(len(boxes), generator=generator).tolist(), strict=True):
        made[(..., *boxes[number])] = image[(..., *boxes[number])]
    return made


def organ(images_BC, partners_BC, severity, generator):
    """An ellipse of the image, 80 down to 40 % of the sides, in another patient's image, with a soft border."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    width = _along(ORGAN, severity) / 2
    centre = (0.5 - width) * (2 * torch.rand(batch, dims, generator=generator) - 1)
    places = places_of(images_BC.shape[2:], torch.eye(dims).repeat(batch, 1, 1)) / 2
    distance = (places - centre.reshape(batch, *[1] * dims, dims)).norm(dim=-1)[:, None]
    inside = torch.sigmoid((width - distance) / 0.02)
    return inside * images_BC + (1 - inside) * partners_BC


def occlusion(images_BC, partners_BC, severity, generator):
    """Boxes of one grey value until the severity's share is covered."""
    covered = images_BC.clone()
    share = OCCLUDED * severity
    for image in covered:
        hidden = torch.zeros(image.shape[1:], dtype=torch.bool)
        while hidden.float().mean() < share:
            box = []
            for size in hidden.shape:
                length = max(1, round(size * (0.15 + 0.3 * float(torch.rand(1, generator=generator)))))
                start = int(torch.randint(size - length + 1, (1,), generator=generator))
                box.append(slice(start, start + length))
            hidden[tuple(box)] = True
            image[(..., *box)] = float(torch.rand(1, generator=generator))
    return covered


def _along(ends: tuple[float, float], severity: float) -> float:
    return ends[0] + severity * (ends[1] - ends[0])
