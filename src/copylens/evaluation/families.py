"""Families of changes that a copy may have undergone, each with one severity from 0 to 1 and random parameters.

No detector can be tuned to them one by one: a seed draws the parameters anew for each image. Severity scales the
largest change that a family makes (`LARGEST`); each image gets between half of it and all of it, in a random direction.
The signature is that of `copylens.evaluation.transforms`: images [B, 1, *grid] in [0, 1], partners (other patients'
images), and a generator on the CPU; 2D and 3D alike.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from copylens.evaluation import contents, transforms
from copylens.imaging import acquisition
from copylens.imaging.augment import through_curves
from copylens.imaging.axes import orientations
from copylens.imaging.warps import places_of, planes, rotation, warp

Family = Callable[[torch.Tensor, torch.Tensor, float, torch.Generator], torch.Tensor]

# Angles in degrees, lengths as shares of the side, everything else as a share of itself.
LARGEST = {
    **{"projective": 0.4, "elastic": 0.04, "bending": 0.15, "stretch": 0.4, "shear": 0.4},
    **{"turn": 90.0, "zoom": 0.5, "shift": 0.2},
    **{"bias_field": 0.9, "clip_limit": 0.1, "ghosts": 0.5, "motion": 0.1, "salt_and_pepper": 0.3, "noise": 0.25},
}
KNOTS = 6  # of a curve of grey values
STEPS = 4  # at most, of a composition


def apply(
    family: str, severity: float, images_BC: torch.Tensor, partners_BC: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """The images after a change of the family, clipped to [0, 1].

    Raises ValueError for an unknown family and a severity outside (0, 1].
    """
    if family not in FAMILIES:
        raise ValueError(f"{family}: no such family of changes; there are {', '.join(FAMILIES)}")
    if not 0 < severity <= 1:
        raise ValueError(f"severity {severity}: must be above 0 and at most 1")
    return FAMILIES[family](images_BC, partners_BC, severity, generator).clamp(0, 1)


def family_name(family: str, severity: float) -> str:
    """The name of a family's transform in tables: `zoom_050` for severity 0.5."""
    return f"{family}_{round(100 * severity):03d}"


def _drawn(largest: float, severity: float, shape: tuple, generator: torch.Generator) -> torch.Tensor:
    """Between half of the largest change and all of it, of either sign."""
    size = severity * largest * (0.5 + 0.5 * torch.rand(shape, generator=generator))
    return size * (2.0 * torch.randint(2, shape, generator=generator) - 1)


def _eye(images_BC: torch.Tensor) -> torch.Tensor:
    return torch.eye(images_BC.ndim - 2).repeat(len(images_BC), 1, 1)


def _turn(images_BC, partners_BC, severity, generator):
    """By any angle; as often as the severity says also by quarter turns, mirrored and with swapped axes."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    angles = torch.deg2rad(_drawn(LARGEST["turn"], severity, (batch, len(planes(dims))), generator))
    if dims == 3:
        angles = angles / 2
    matrix = rotation(angles, dims)
    group = [torch.from_numpy(each.matrix) for each in orientations(dims)[1 : len(orientations(dims)) // 2]]
    laid = torch.rand(batch, generator=generator) < severity
    drawn = torch.randint(len(group), (batch,), generator=generator)
    for number in laid.nonzero()[:, 0].tolist():
        matrix[number] = group[drawn[number]] @ matrix[number]
    return warp(images_BC, matrix)


def _zoom(images_BC, partners_BC, severity, generator):
    """The whole image larger or smaller, to half or one and a half times its size."""
    factor = 1 + _drawn(LARGEST["zoom"], severity, (len(images_BC),), generator)
    return warp(images_BC, _eye(images_BC) / factor[:, None, None])


def _shift(images_BC, partners_BC, severity, generator):
    batch, dims = len(images_BC), images_BC.ndim - 2
    return warp(images_BC, _eye(images_BC), _drawn(LARGEST["shift"], severity, (batch, dims), generator))


def _stretch(images_BC, partners_BC, severity, generator):
    """One axis longer and another shorter."""
    matrix, dims = _eye(images_BC), images_BC.ndim - 2
    amount = 1 + _drawn(LARGEST["stretch"], severity, (len(images_BC),), generator).abs()
    axis = torch.randint(dims, (len(images_BC),), generator=generator)
    every = torch.arange(len(images_BC))
    matrix[every, axis, axis] = amount.sqrt()
    other = (axis + 1) % dims
    matrix[every, other, other] = 1 / amount.sqrt()
    return warp(images_BC, matrix)


def _shear(images_BC, partners_BC, severity, generator):
    matrix, dims = _eye(images_BC), images_BC.ndim - 2
    axis = torch.randint(dims, (len(images_BC),), generator=generator)
    every = torch.arange(len(images_BC))
    matrix[every, axis, (axis + 1) % dims] = _drawn(LARGEST["shear"], severity, (len(images_BC),), generator)
    return warp(images_BC, matrix)


def _projective(images_BC, partners_BC, severity, generator):
    """Seen at an angle: positions are divided by a plane that rises along a random direction."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    rise = functional.normalize(torch.randn(batch, dims, generator=generator), dim=1)
    rise = rise * _drawn(LARGEST["projective"], severity, (batch, 1), generator).abs()
    places = places_of(images_BC.shape[2:], _eye(images_BC))
    return functional.grid_sample(
        images_BC,
        places / (1 + torch.einsum("b...d,bd->b...", places, rise))[..., None],
        padding_mode="border",
        align_corners=False,
    )


def _elastic(images_BC, partners_BC, severity, generator):
    """Bent everywhere by a smooth random field."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    field, size = transforms.bending_field(images_BC, transforms.ELASTIC[1], generator)
    amount = _drawn(LARGEST["elastic"], severity, (batch,), generator).reshape(batch, *[1] * (dims + 1))
    return warp(images_BC, _eye(images_BC), displacement=field / size * amount)


def _bending(images_BC, partners_BC, severity, generator):
    """Pulled in one direction around one place, the rest unmoved."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    near = _bump(images_BC, 0.5 * torch.rand(batch, dims, generator=generator) - 0.25, 0.15)
    pull = functional.normalize(torch.randn(batch, dims, generator=generator), dim=1)
    pull = pull * _drawn(LARGEST["bending"], severity, (batch, 1), generator).abs()
    return warp(images_BC, _eye(images_BC), displacement=pull.reshape(batch, dims, *[1] * dims) * near)


def _bump(images_BC: torch.Tensor, centre: torch.Tensor, width: float) -> torch.Tensor:
    """A Gaussian [B, 1, *grid] about a centre [B, dims], a share of each side from the middle, last axis first."""
    places = places_of(images_BC.shape[2:], _eye(images_BC)) / 2
    dims = images_BC.ndim - 2
    distance = (places - centre.reshape(len(centre), *[1] * dims, dims)).square().sum(dim=-1)
    return torch.exp(-distance / (2 * width**2))[:, None]


def _curve(images_BC, partners_BC, severity, generator):
    """Grey values through a rising curve drawn at random."""
    batch = len(images_BC)
    steps = torch.exp(2 * severity * torch.randn(batch, KNOTS, generator=generator))
    return through_curves(images_BC, steps)


def _inverted(images_BC, partners_BC, severity, generator):
    """The negative, its grey values through a curve."""
    return _curve(1 - images_BC, partners_BC, severity, generator)


def _bias_field(images_BC, partners_BC, severity, generator):
    """Multiplied by a smooth random field."""
    field, size = transforms.coil_field(images_BC, transforms.BIAS[1], generator)
    amount = _drawn(LARGEST["bias_field"], severity, (len(images_BC),), generator)
    return images_BC * (1 + amount.reshape(-1, *[1] * (images_BC.ndim - 1)) * field / size)


def _equalised(images_BC, partners_BC, severity, generator):
    """Contrast-limited adaptive histogram equalisation (CLAHE), stronger with the severity."""
    limits = LARGEST["clip_limit"] * severity * (0.5 + 0.5 * torch.rand(len(images_BC), generator=generator))
    return transforms.equalised(images_BC, limits.tolist())


def _posterised(images_BC, partners_BC, severity, generator):
    """Few grey values: from 16 down to 3."""
    levels = round(2 ** (4 - 2.4 * severity))
    return (images_BC * levels).floor().clamp(max=levels - 1) / (levels - 1)


def _noise(images_BC, partners_BC, severity, generator):
    amount = _drawn(LARGEST["noise"], severity, (len(images_BC),), generator).abs()
    noise = torch.randn(images_BC.shape, generator=generator)
    return images_BC + noise * amount.reshape(-1, *[1] * (images_BC.ndim - 1))


def _motion(images_BC, partners_BC, severity, generator):
    shift = _drawn(LARGEST["motion"], severity, (len(images_BC),), generator)
    return acquisition.ghosts(images_BC, shift, LARGEST["ghosts"], generator)


def _ringing(images_BC, partners_BC, severity, generator):
    """Down to a quarter of the frequencies."""
    return acquisition.truncated(images_BC, 1 - 0.75 * _drawn(1.0, severity, (len(images_BC),), generator).abs())


def _undersampled(images_BC, partners_BC, severity, generator):
    """Down to a quarter of the lines."""
    return acquisition.undersampled(images_BC, 1 - 0.75 * severity, generator)


def _coarser(images_BC, partners_BC, severity, generator):
    """Down to a quarter of the resolution."""
    return acquisition.coarser(images_BC, 1 - 0.75 * severity)


def _salt_and_pepper(images_BC, partners_BC, severity, generator):
    return acquisition.salt_and_pepper(images_BC, LARGEST["salt_and_pepper"] * severity, generator)


def _composition(images_BC, partners_BC, severity, generator):
    """Two to four changes of other families, one after the other, each of the severity shared among them."""
    names = [name for group in ("geometry", "intensity", "acquisition") for name in GROUPS[group] if name != "inverted"]
    changed = []
    for image, partner in zip(images_BC.split(1), partners_BC.split(1), strict=True):
        n = int(torch.randint(2, STEPS + 1, (1,), generator=generator))
        for number in torch.randperm(len(names), generator=generator)[:n].tolist():
            image = FAMILIES[names[number]](image, partner, severity / n**0.5, generator).clamp(0, 1)
        changed.append(image)
    return torch.cat(changed)


GROUPS: dict[str, dict[str, Family]] = {
    "geometry": {
        **{"turn": _turn, "zoom": _zoom, "shift": _shift, "stretch": _stretch, "shear": _shear},
        **{"projective": _projective, "elastic": _elastic, "bending": _bending},
    },
    "intensity": {
        **{"curve": _curve, "inverted": _inverted, "bias_field": _bias_field, "equalised": _equalised},
        **{"posterised": _posterised},
    },
    "acquisition": {
        **{"motion": _motion, "ringing": _ringing, "undersampled": _undersampled, "coarser": _coarser},
        **{"salt_and_pepper": _salt_and_pepper, "noise": _noise, "devices": contents.devices},
    },
    "composition": {"composition": _composition},
    "content": {
        **{"mixture": contents.mixture, "collage": contents.collage},
        **{"organ": contents.organ, "occlusion": contents.occlusion},
    },
}
FAMILIES = {name: family for group in GROUPS.values() for name, family in group.items()}
