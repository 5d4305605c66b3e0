"""The pose of an image among images that lie alike."""

import pytest
import torch

from copylens.imaging.filters import smooth
from copylens.imaging.poses import Population
from copylens.imaging.warps import flips, rotation, warp


@pytest.fixture(scope="module")
def people():
    """Sixty images [60, 2, 32, 32] of one body, each with details of its own."""
    generator = torch.Generator().manual_seed(0)
    body = smooth(torch.randn(1, 2, 32, 32, generator=generator), [3.0, 3.0])
    own = smooth(torch.randn(60, 2, 32, 32, generator=generator), [1.5, 1.5])
    return body / body.std() + 0.4 * own / own.std()


def likeness(images: torch.Tensor, others: torch.Tensor) -> float:
    inside = (..., slice(6, 26), slice(6, 26))
    return float(torch.corrcoef(torch.stack([images[inside].flatten(), others[inside].flatten()]))[0, 1])


@pytest.mark.parametrize(
    ("degrees", "mirrored"), [(35, False), (100, False), (180, False), (290, False), (0, True), (35, True), (180, True)]
)
def test_a_turned_stranger_is_turned_back(people, degrees, mirrored):
    population, stranger = Population(people[:48]), people[50:51]
    turn = rotation(torch.deg2rad(torch.tensor([[float(degrees)]])), 2)
    turned = warp(stranger, flips(2)[1:2] @ turn if mirrored else turn)
    (poses,) = population(turned, 1)
    back = warp(turned, poses.matrices, poses.shifts)
    assert likeness(back, stranger) > 0.8 > 0.5 > likeness(turned, stranger)
    assert not poses.inverted


@pytest.mark.parametrize("degrees", [0, 90])
def test_a_stranger_that_was_moved_is_moved_back(people, degrees):
    population, stranger = Population(people[:48]), people[50:51]
    turn = rotation(torch.deg2rad(torch.tensor([[float(degrees)]])), 2)
    moved = warp(stranger, turn, torch.tensor([[0.19, -0.13]]))
    (poses,) = population(moved, 1)
    back = warp(moved, poses.matrices, poses.shifts)
    assert likeness(back, stranger) > 0.7 > 0.5 > likeness(moved, stranger)


def test_an_image_that_lies_like_the_others_keeps_its_pose(people):
    population = Population(people[:48])
    kept = [len(poses.matrices) for poses in population(people[50:], 6)]
    assert sum(kept) <= len(kept)


def test_a_negative_is_known_in_any_pose(people):
    population = Population(people[:48])
    turn = rotation(torch.deg2rad(torch.tensor([[120.0]])), 2)
    for one in people[50:54].split(1):
        assert all(poses.inverted for poses in population(torch.cat([-one, warp(-one, turn)]), 1))
        assert not population(one, 1)[0].inverted


def test_volumes_have_poses_too():
    generator = torch.Generator().manual_seed(1)
    body = smooth(torch.randn(1, 2, 16, 12, 14, generator=generator), [2.0] * 3)
    own = smooth(torch.randn(20, 2, 16, 12, 14, generator=generator), [1.0] * 3)
    volumes = body / body.std() + 0.4 * own / own.std()
    turned = warp(volumes[17:18], rotation(torch.deg2rad(torch.tensor([[120.0, 30, 0]])), 3))
    (poses,) = Population(volumes[:16])(turned, 3)
    back = warp(turned.expand(len(poses.matrices), -1, -1, -1, -1), poses.matrices, poses.shifts)
    assert 1 <= len(back) <= 3
    alike = [volume_likeness(one, volumes[17]) for one in back]
    assert max(alike) > 0.6 > volume_likeness(turned[0], volumes[17])


def volume_likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    inside = (slice(None), slice(4, 12), slice(3, 9), slice(3, 11))
    return float(torch.corrcoef(torch.stack([one[inside].flatten(), other[inside].flatten()]))[0, 1])
