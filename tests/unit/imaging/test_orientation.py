"""Images are laid as training images lie, whatever was done to their axes, their sign or the order of their slices."""

import numpy as np
import pytest
import torch

from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.evaluation import transforms
from copylens.imaging.axes import Orientation, orientations
from copylens.imaging.orientation import Orienter


def drawn(anatomy: str, n: int) -> torch.Tensor:
    """Images [n, 1, *grid] of as many patients."""
    settings = {"anatomy": anatomy, "size": 32 if anatomy == "xray" else 16, "noise": 0.01, "seed": 0}
    settings |= {"n_patients": n, "repeat_share": 0.0}
    images = [phantom.load(None, scan, settings).pixels for scan in phantom.list_scans(None, settings)]
    return torch.from_numpy(np.stack([scale(image, {"kind": "minmax"}) for image in images]))[:, None]


@pytest.fixture(scope="module", params=["xray", "mr"])
def images(request) -> torch.Tensor:
    return drawn(request.param, 30)


def test_the_group_is_whole():
    for dims, n in ((2, 16), (3, 96)):
        group = orientations(dims)
        assert len(set(group)) == len(group) == n
        assert group[0].is_none and not any(each.is_none for each in group[1:])
        # Closed: two of them, one after the other, are one of them.
        matrices = {tuple(each.matrix.flatten().tolist()) for each in group}
        assert {tuple((one.matrix @ other.matrix).flatten().tolist()) for one in group for other in group} == matrices


def test_a_training_image_is_laid_back_from_every_orientation(images):
    orienter = Orienter(images.split(7))
    for orientation in orientations(images.ndim - 2):
        number = orienter.group.index(orientation)
        changed = orienter.apply(images[:4], number, 1.0)
        laid, lie = orienter(changed)
        torch.testing.assert_close(laid, images[:4], atol=1e-4, rtol=0)
        assert (lie.sorted_along == -1).all()
        assert (lie.orientation == 0).all() == orientation.is_none


def test_images_of_other_patients_stay_as_they_lie(images):
    laid, lie = Orienter([images[:20]])(images[20:])
    assert (lie.orientation != 0).mean() <= 0.2
    stays = lie.orientation == 0
    assert torch.equal(laid[stays], images[20:][stays])


@pytest.mark.parametrize("name", ["noise", "blur", "crop_90", "rotation_10", "halves", "mixture"])
def test_what_changes_an_image_otherwise_turns_it_seldom(images, name):
    changed = transforms.apply(name, images[:20], images[:20].flip(0), torch.Generator().manual_seed(0))
    assert (Orienter([images[:20]])(changed)[1].orientation != 0).mean() <= 0.1


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_slices_are_put_in_order_again(axis):
    volumes = drawn("mr", 12)
    n = volumes.shape[axis]
    for order in (
        np.random.default_rng(0).permutation(n),
        np.r_[np.arange(0, n, 2), np.arange(1, n, 2)],
    ):
        changed = volumes.index_select(axis, torch.from_numpy(order))
        laid, lie = Orienter([volumes])(changed)
        assert (lie.sorted_along == axis - 2).mean() >= 0.8
        found = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(laid, volumes, strict=True)]
        assert np.median(found) > 0.98
    assert (Orienter([volumes])(volumes)[1].sorted_along == -1).all(), "slices in order are left alone"


def test_axes_of_different_length_are_fitted_before_they_are_compared():
    volumes = drawn("mr", 12)
    volumes = torch.nn.functional.interpolate(volumes, (12, 16, 12), mode="trilinear")
    swapped = transforms.apply("swapped_axes", volumes, volumes, torch.Generator().manual_seed(0))
    _, lie = Orienter([volumes])(swapped)
    assert (lie.orientation != 0).all()
    assert set(lie.zoom.tolist()) <= {1.0, 0.75, np.float32(4 / 3)}


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (Orientation((0, 1), (False, False)), ""),
        (Orientation((0, 1), (False, True)), "mirrored along axis 2"),
        (Orientation((0, 1), (True, True)), "turned by a half"),
        (Orientation((1, 0), (False, False)), "transposed"),
        (Orientation((1, 0), (True, False)), "turned by a quarter"),
        (Orientation((0, 1), (False, False), True), "with inverted grey values"),
        (Orientation((0, 1, 2), (True, True, False)), "mirrored along axes 1 and 2"),
        (Orientation((2, 1, 0), (False, False, False)), "with axes 1 and 3 swapped"),
        (
            Orientation((2, 1, 0), (False, False, True), True),
            "with axes 1 and 3 swapped, mirrored along axis 3, with inverted grey values",
        ),
    ],
)
def test_every_orientation_has_words(orientation, words):
    assert orientation.words == words
