"""Strongly changed views: their range, their repetition, and where their pixels come from."""

import pytest
import torch
from torch.nn import functional

from copylens.imaging import views
from copylens.imaging.warps import look

GRIDS = [(24, 32), (12, 16, 8)]


def smooth_images(n: int, grid: tuple[int, ...]) -> torch.Tensor:
    coarse = torch.rand(n, 1, *[5] * len(grid), generator=torch.Generator().manual_seed(0))
    mode = "bilinear" if len(grid) == 2 else "trilinear"
    return functional.interpolate(coarse, grid, mode=mode, align_corners=True)


@pytest.mark.parametrize("grid", GRIDS)
def test_views_lie_in_range_differ_and_repeat(grid):
    images = smooth_images(12, grid)
    before = images.clone()
    first, again = (views.draw_views(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.images.shape == images.shape and first.images.dtype == torch.float32
    assert first.places.shape == (12, *grid, len(grid)) and first.own.shape == (12, *grid)
    assert first.images.min() >= 0 and first.images.max() <= 1
    assert first.own.min() >= 0 and first.own.max() <= 1.001
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True)) and torch.equal(images, before)
    other = views.draw_views(images, torch.Generator().manual_seed(4))
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_pixel_that_is_the_images_own_comes_from_its_place(grid, monkeypatch):
    monkeypatch.setattr(views, "INTENSITY", {})
    monkeypatch.setattr(views, "ACQUISITION", (lambda images, generator: images,))
    images = smooth_images(40, grid)
    drawn = views.draw_views(images, torch.Generator().manual_seed(0))
    expected = look(images, drawn.places)
    own = drawn.own[:, None] > 0.999
    assert 0.3 < own.float().mean() < 0.95
    assert (drawn.images - expected)[own].abs().max() < 2e-3
    strange = drawn.own[:, None] == 0
    assert (drawn.images - expected)[strange].abs().mean() > 0.03


@pytest.mark.parametrize("grid", GRIDS)
def test_a_single_image_has_views(grid):
    drawn = [views.draw_views(smooth_images(1, grid), torch.Generator().manual_seed(n)) for n in range(20)]
    assert all(torch.isfinite(view.images).all() for view in drawn)
