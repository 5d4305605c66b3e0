"""What scanners and files do to images: motion, ringing, undersampling, lost resolution, broken pixels."""

import torch

from copylens.imaging.filters import resize


def ghosts(images_BC: torch.Tensor, shift: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """The patient moves while lines are read: a `share` of the lines is of the shifted image.

    shift: [B], shares of the first side. The middle tenth of the lines, which holds the contrast, doesn't move.
    """
    spectrum, frequency = _spectrum(images_BC)
    size = images_BC.shape[2]
    moved = torch.rand(len(images_BC), size, generator=generator) < share
    moved &= frequency[None].abs() > 0.05
    phase = torch.exp(-2j * torch.pi * frequency[None] * (shift[:, None] * size) * moved)
    return _image(spectrum * phase.reshape(phase.shape[0], 1, size, *[1] * (images_BC.ndim - 3)), images_BC)


def truncated(images_BC: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Only the lowest `kept` [B] of the frequencies of each axis: Gibbs ringing beside every edge."""
    spectrum, _ = _spectrum(images_BC)
    for axis in range(2, images_BC.ndim):
        frequency = torch.fft.fftfreq(images_BC.shape[axis])
        passed = (frequency[None].abs() <= kept[:, None] / 2).to(spectrum.dtype)
        shape = [len(images_BC)] + [1] * (images_BC.ndim - 1)
        shape[axis] = images_BC.shape[axis]
        spectrum = spectrum * passed.reshape(shape)
    return _image(spectrum, images_BC)


def undersampled(images_BC: torch.Tensor, kept: float, generator: torch.Generator) -> torch.Tensor:
    """A share of the lines along the first axis, drawn at random, and the middle eighth of all; the rest is zero."""
    spectrum, frequency = _spectrum(images_BC)
    size = images_BC.shape[2]
    passed = torch.rand(len(images_BC), size, generator=generator) < kept
    passed |= frequency[None].abs() <= 1 / 16
    return _image(spectrum * passed.reshape(len(passed), 1, size, *[1] * (images_BC.ndim - 3)), images_BC)


def coarser(images_BC: torch.Tensor, share: float) -> torch.Tensor:
    """Brought to a `share` of the pixels of each axis, and back."""
    sizes = images_BC.shape[2:]
    small = resize(images_BC, [max(2, round(share * size)) for size in sizes])
    mode = "bilinear" if len(sizes) == 2 else "trilinear"
    return torch.nn.functional.interpolate(small, list(sizes), mode=mode)


def salt_and_pepper(images_BC: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """A share of the pixels is black or white."""
    drawn = torch.rand(images_BC.shape, generator=generator)
    return torch.where(drawn < share / 2, 0.0, torch.where(drawn > 1 - share / 2, 1.0, images_BC))


def _spectrum(images_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The spectrum, and the frequencies of its first axis in cycles a pixel."""
    axes = tuple(range(2, images_BC.ndim))
    return torch.fft.fftn(images_BC, dim=axes), torch.fft.fftfreq(images_BC.shape[2])


def _image(spectrum: torch.Tensor, images_BC: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(2, images_BC.ndim))
    return torch.fft.ifftn(spectrum, dim=axes).real.to(images_BC.dtype)
