"""Flips are exact; rotations are in pixels, within their angle, and repeat."""

import pytest
import torch

from copylens.imaging.augment import flip_and_rotate


@pytest.mark.parametrize("shape", [(9, 7), (5, 8, 6)])
def test_a_flip_reverses_exactly_one_axis(shape):
    images = torch.rand(40, 1, *shape)
    flipped = flip_and_rotate(images, 1.0, 0.0, 5.0)
    axes = set()
    for image, result in zip(images, flipped, strict=True):
        matches = [axis for axis in range(1, len(shape) + 1) if torch.allclose(image.flip(axis), result, atol=1e-4)]
        assert len(matches) == 1
        axes.update(matches)
    assert axes == set(range(1, len(shape) + 1))


def test_no_probability_changes_nothing():
    images = torch.rand(4, 1, 10, 13)
    torch.testing.assert_close(flip_and_rotate(images, 0.0, 0.0, 90.0), images, atol=1e-4, rtol=0)


def test_a_point_turns_about_the_centre_by_at_most_the_angle_in_pixels():
    images = torch.zeros(200, 1, 41, 81)
    images[:, 0, 19:22, 59:62] = 1  # 20 pixels right of the centre (20, 40)
    turned = flip_and_rotate(images, 0.0, 1.0, 30.0, torch.Generator().manual_seed(0))[:, 0]
    y, x = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(81.0) - 40, indexing="ij")
    mass = turned.sum((1, 2))
    centre_y, centre_x = (turned * y).sum((1, 2)) / mass, (turned * x).sum((1, 2)) / mass
    angle = torch.rad2deg(torch.atan2(centre_y, centre_x))
    torch.testing.assert_close(torch.hypot(centre_y, centre_x), torch.full((200,), 20.0), atol=0.1, rtol=0)
    assert 25 < angle.max() <= 30.5 and -30.5 <= angle.min() < -25


def test_the_generator_decides():
    images = torch.rand(4, 1, 8, 8, 8)
    first, second = (flip_and_rotate(images, 0.5, 0.5, 5.0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
