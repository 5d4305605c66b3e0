"""Filters as matrices give what convolutions and pooling give, and a registration's correlations are correlations."""

import itertools

import pytest
import torch
from monai.networks.layers import gaussian_1d, separable_filtering
from torch.nn import functional

from copylens.imaging.filters import box, enlarge, shifted_boxes, smooth
from copylens.imaging.registration import match

GRIDS = [(20, 13), (9, 12, 10)]


def image(grid, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 1, *grid, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("grid", GRIDS)
def test_smoothing_is_a_gaussian_filter_that_repeats_the_border(grid):
    pixels = image(grid)
    kernels = [
        gaussian_1d(torch.tensor(width), truncated=3.0, normalize=True) for width in (1.3, 0.6, 2.0)[: len(grid)]
    ]
    expected = separable_filtering(pixels, kernels, mode="replicate")
    torch.testing.assert_close(smooth(pixels, [1.3, 0.6, 2.0][: len(grid)]), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_box_is_a_mean_of_the_pixels_that_there_are(grid):
    pixels = image(grid)
    pool = (functional.avg_pool2d, functional.avg_pool3d)[len(grid) - 2]
    every = pool(pixels, 5, stride=1, padding=2, count_include_pad=False)
    torch.testing.assert_close(box(pixels, 5), every)
    torch.testing.assert_close(box(pixels, 5, step=3), every[(..., *[slice(1, None, 3)] * len(grid))])


@pytest.mark.parametrize("grid", GRIDS)
def test_shifted_boxes_are_the_boxes_of_shifted_parts(grid):
    padded = functional.pad(image(grid), [2] * (2 * len(grid)), mode="replicate")
    found = shifted_boxes(padded, 2, 5, step=2)
    displacements = list(itertools.product(range(-2, 3), repeat=len(grid)))
    assert sorted({displacement[:-1] for displacement in displacements}) == sorted(found)
    for *displacement, last in displacements:
        part = (slice(2 + along, 2 + along + size) for along, size in zip((*displacement, last), grid, strict=True))
        filtered = found[tuple(displacement)][:, last + 2 : last + 3]
        torch.testing.assert_close(filtered, box(padded[(..., *part)], 5, step=2))


def test_enlarged_images_are_interpolated_linearly():
    for grid, larger in (([6, 8], [13, 24]), ([5, 4, 6], [10, 9, 24])):
        pixels, mode = image(grid), ("bilinear", "trilinear")[len(grid) - 2]
        torch.testing.assert_close(enlarge(pixels, larger), functional.interpolate(pixels, larger, mode=mode))


def test_boxes_of_small_and_large_volumes_are_means_over_windows():
    for grid in ((6, 10, 9), (6, 20, 21)):
        pixels = image(grid)
        inner = functional.avg_pool3d(pixels, 3, 2)
        torch.testing.assert_close(box(pixels, 3, step=2)[(..., *[slice(0, size) for size in inner.shape[2:]])], inner)


@pytest.mark.parametrize("grid", [(32, 24), (16, 12, 20)])
def test_a_registration_finds_a_shifted_image_again_and_no_correlation_passes_1(grid):
    pixels = smooth(image(grid), [1.0] * len(grid)) - 0.5
    moved, other = pixels.roll(1, dims=-1), smooth(image(grid, seed=1), [1.0] * len(grid)) - 0.5
    settings = {"reach": (1, 1), "windows": (5, 7), "step": 3}
    alike, unlike = match(moved, pixels, **settings), match(other, pixels, **settings)
    assert alike.max() <= 1 + 1e-4 and unlike.max() <= 1 + 1e-4
    assert alike.median() > 0.95 > 0.7 > unlike.median()
