"""The transforms of planted copies, by name: the changes that a copied image may have undergone.

Every transform takes images [B, 1, *grid] in [0, 1], partners (other patients' images, same shape) and a generator on
the CPU, and returns images of the same shape, clipped to [0, 1]. Sizes are shares of the image's side, angles degrees;
directions are drawn for each image. 2D and 3D alike, but for `jpeg` and `slice_order`.
"""

import io
from collections.abc import Callable

import numpy as np
import PIL.Image
import torch
from skimage.exposure import equalize_adapthist

from copylens.imaging.axes import Orientation, orientations
from copylens.imaging.filters import smooth
from copylens.imaging.warps import planes, rotation, warp

Transform = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]

JPEG_QUALITY = 30
CLIP_LIMIT = 0.03  # of the equalisation
ELASTIC = (0.04, 0.08)  # root mean square displacement, and width of the smoothing
BIAS = (0.7, 0.25)  # largest change of the intensity, and width of the smoothing


def apply(name: str, images_BC: torch.Tensor, partners_BC: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The images after the transform `name`, clipped to [0, 1]."""
    return TRANSFORMS[name](images_BC, partners_BC, generator).clamp(0, 1)


def names(dims: int) -> list[str]:
    """The transforms that images with `dims` axes may undergo."""
    return [name for name in TRANSFORMS if name not in ("jpeg" if dims == 3 else "slice_order")]


def _moved(degrees: float = 0.0, kept: float = 1.0, shift: float = 0.0, flip: bool = False) -> Transform:
    """Turned by `degrees` in a random plane and direction, the centre `kept` filling the image, shifted, flipped."""

    def transform(images_BC, partners_BC, generator):
        batch, dims = len(images_BC), images_BC.ndim - 2
        signs = lambda *shape: 2.0 * torch.randint(2, shape, generator=generator) - 1  # noqa: E731
        n_planes = len(planes(dims))
        plane = torch.nn.functional.one_hot(torch.randint(n_planes, (batch,), generator=generator), n_planes)
        angles = signs(batch, 1) * torch.deg2rad(torch.tensor(degrees)) * plane
        matrix = kept * rotation(angles, dims)
        if flip:
            matrix[:, :, 0] *= -1
        return warp(images_BC, matrix, shift * signs(batch, dims))

    return transform


def _laid(in_group: Callable[[Orientation], bool]) -> Transform:
    """In an orientation of the group, drawn for each image, and fitted into the grid where the sides differ."""

    def transform(images_BC, partners_BC, generator):
        sizes = images_BC.shape[2:]
        group = [
            orientation for orientation in orientations(len(sizes)) if not orientation.is_none and in_group(orientation)
        ]
        results = []
        for image, drawn in zip(
            images_BC, torch.randint(len(group), (len(images_BC),), generator=generator), strict=True
        ):
            fitted = min(size / sizes[axis] for size, axis in zip(sizes, group[drawn].axes, strict=True))
            turned = warp(image[None], torch.from_numpy(group[drawn].matrix)[None] / fitted)[0]
            results.append(1 - turned if group[drawn].inverted else turned)
        return torch.stack(results)

    return transform


def _sliced(images_BC, partners_BC, generator):
    """Slices reordered along an axis drawn for each volume: every second one first, or in random order. 3D."""
    results = []
    for image in images_BC:
        axis, shuffled = (int(torch.randint(n, (1,), generator=generator)) for n in (image.ndim - 1, 2))
        n = image.shape[axis + 1]
        interleaved = torch.cat([torch.arange(0, n, 2), torch.arange(1, n, 2)])
        results.append(
            image.index_select(axis + 1, torch.randperm(n, generator=generator) if shuffled else interleaved)
        )
    return torch.stack(results)


def _flip(axis: int) -> Transform:
    return lambda images_BC, partners_BC, generator: images_BC.flip(axis)


def _gamma(exponent: float) -> Transform:
    return lambda images_BC, partners_BC, generator: images_BC.clamp(min=0) ** exponent


def _linear(contrast: float, brightness: float) -> Transform:
    return lambda images_BC, partners_BC, generator: (images_BC - 0.5) * contrast + 0.5 + brightness


def _noise(deviation: float) -> Transform:
    return lambda images_BC, partners_BC, generator: (
        images_BC + deviation * torch.randn(images_BC.shape, generator=generator)
    )


def _blur(width: float) -> Transform:
    return lambda images_BC, partners_BC, generator: _smooth(images_BC, width)


def _chain(*transforms: Transform) -> Transform:
    def transform(images_BC, partners_BC, generator):
        for step in transforms:
            images_BC = step(images_BC, partners_BC, generator).clamp(0, 1)
        return images_BC

    return transform


def _elastic(images_BC, partners_BC, generator):
    """Bent by a smooth random field."""
    amount, width = ELASTIC
    batch, dims = len(images_BC), images_BC.ndim - 2
    field, size = bending_field(images_BC, width, generator)
    return warp(images_BC, torch.eye(dims).repeat(batch, 1, 1), displacement=amount * field / size)


def bending_field(images_BC: torch.Tensor, width: float, generator: torch.Generator):
    """A smooth random displacement for each image, [B, dims, *grid], and its root mean square, [B, 1, ...]."""
    batch, dims = len(images_BC), images_BC.ndim - 2
    field = _smooth(torch.randn(batch, dims, *images_BC.shape[2:], generator=generator), width)
    return field, field.square().mean(dim=tuple(range(1, dims + 2)), keepdim=True).sqrt()


def _bias_field(images_BC, partners_BC, generator):
    """Multiplied by a smooth random field, as a receive coil's sensitivity does."""
    amount, width = BIAS
    field, size = coil_field(images_BC, width, generator)
    return images_BC * (1 + amount * field / size)


def coil_field(images_BC: torch.Tensor, width: float, generator: torch.Generator):
    """A smooth random field for each image, [B, 1, *grid], of mean 0, and its largest value, [B, 1, ...]."""
    axes = tuple(range(1, images_BC.ndim))
    field = _smooth(torch.randn(images_BC.shape, generator=generator), width)
    field = field - field.mean(dim=axes, keepdim=True)
    return field, field.abs().amax(dim=axes, keepdim=True)


def _equalised(images_BC, partners_BC, generator):
    return equalised(images_BC, [CLIP_LIMIT] * len(images_BC))


def equalised(images_BC: torch.Tensor, limits: list[float]) -> torch.Tensor:
    """Contrast-limited adaptive histogram equalisation (CLAHE), with a limit for each image."""
    found = [
        equalize_adapthist(np.clip(image, 0, 1), clip_limit=limit)
        for image, limit in zip(images_BC[:, 0].numpy(), limits, strict=True)
    ]
    return torch.from_numpy(np.stack(found).astype(np.float32))[:, None]


def _jpeg(images_BC, partners_BC, generator):
    """Through a JPEG file of low quality, 2D."""
    decoded = []
    for image in images_BC[:, 0].clamp(0, 1).numpy():
        file = io.BytesIO()
        PIL.Image.fromarray((255 * image).round().astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
        decoded.append(np.asarray(PIL.Image.open(file), dtype=np.float32) / 255)
    return torch.from_numpy(np.stack(decoded))[:, None]


def _mixture(images_BC, partners_BC, generator):
    """60 % of the image and 40 % of another patient's."""
    return 0.6 * images_BC + 0.4 * partners_BC


def _halves(images_BC, partners_BC, generator):
    """The first half along the last axis beside another patient's second half."""
    half = images_BC.shape[-1] // 2
    return torch.cat([images_BC[..., :half], partners_BC[..., half:]], dim=-1)


def _occluded(images_BC, partners_BC, generator):
    """The central half along every axis replaced by the image's mean."""
    centre = (..., *(slice(size // 4, size - size // 4) for size in images_BC.shape[2:]))
    occluded = images_BC.clone()
    axes = tuple(range(1, images_BC.ndim))
    occluded[centre] = images_BC.mean(dim=axes, keepdim=True)
    return occluded


def _smooth(images_BC: torch.Tensor, width: float) -> torch.Tensor:
    """Blurred by a Gaussian whose standard deviation is `width` times each side."""
    return smooth(images_BC, [width * size for size in images_BC.shape[2:]])


def _reoriented(images_BC, partners_BC, generator):
    """Any of the group's orientations; every third volume has its slices in another order instead."""
    moved = _laid(lambda orientation: not orientation.inverted)(images_BC, partners_BC, generator)
    if images_BC.ndim == 5:
        moved[::3] = _sliced(images_BC[::3], partners_BC, generator)
    return moved


# Rigid motions and changes of intensity, which a simple search can undo.
RIGID: dict[str, Transform] = {
    "identity": _moved(),
    "flip": _flip(-1),
    "flip_first": _flip(2),
    "rotation_05": _moved(degrees=5),
    "rotation_10": _moved(degrees=10),
    "rotation_20": _moved(degrees=20),
    "gamma_07": _gamma(0.7),
    "gamma_15": _gamma(1.5),
    "contrast_15": _linear(1.5, 0.0),
    "brightness": _linear(1.0, 0.1),
    "noise": _noise(0.1),
    "blur": _blur(1.5 / 64),
    "crop_95": _moved(kept=0.95),
    "crop_90": _moved(kept=0.9),
    "crop_80": _moved(kept=0.8),
    "shift": _moved(shift=0.05),
    "flip_rotation_noise": _chain(_moved(degrees=5, flip=True), _noise(0.05)),
    "jpeg": _jpeg,
}
# Changes from a lost orientation, sign or order of slices.
LAID: dict[str, Transform] = {
    "mirrored": _laid(
        lambda orientation: list(orientation.axes) == sorted(orientation.axes) and not orientation.inverted
    ),
    "quarter_turn": _laid(lambda orientation: orientation.is_quarter_turn),
    "swapped_axes": _laid(lambda orientation: not any(orientation.mirrored) and not orientation.inverted),
    "inverted": _laid(lambda orientation: orientation.is_upright and orientation.inverted),
    "slice_order": _sliced,
    "reoriented": _reoriented,
}
# Changes that a simple search can't undo.
HARD: dict[str, Transform] = {
    "rotation_30": _moved(degrees=30),
    "elastic": _elastic,
    "bias_field": _bias_field,
    "clahe": _equalised,
    "mixture": _mixture,
    "occluded": _occluded,
    "halves": _halves,
    "rotation_crop_shift_gamma": _chain(_moved(degrees=12, kept=0.9, shift=0.02), _gamma(0.7)),
}
GROUPS = {"rigid": RIGID, "laid": LAID, "hard": HARD}
TRANSFORMS = RIGID | LAID | HARD
