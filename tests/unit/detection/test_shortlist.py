"""The coarse search among many training images, apart from the detector that uses it."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from copylens.detection import shortlist


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest array that an operation gives has."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        found = function(*arguments, **(named or {}))
        if isinstance(found, torch.Tensor):
            self.numbers = max(self.numbers, found.numel())
        return found


def images(n: int, grid: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(n, 2, *grid, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("grid", [(14, 12), (7, 6, 5)])
def test_the_view_that_a_training_image_is_like_decides(grid):
    training = images(300, grid)
    views = torch.cat([images(20, grid).flip(0), training[123:124]])
    likely = shortlist.CoarseSearch(training)(views, n_halved=10)
    assert likely.shape == (300,) and likely.isfinite().all()
    assert set(range(20)) | {123} == set(likely.topk(21).indices.tolist())


def test_half_an_image_is_enough():
    training = images(300, (14, 14))
    view = torch.cat([training[7:8, :, :, :7], training[8:9, :, :, 7:]], dim=3)
    assert set(shortlist.CoarseSearch(training)(view, n_halved=1).topk(2).indices.tolist()) == {7, 8}


def test_training_images_are_compared_block_by_block():
    training, views = images(5000, (14, 14)), images(300, (14, 14))
    search = shortlist.CoarseSearch(training)
    with Largest() as largest:
        search(views, n_halved=100)
    assert largest.numbers <= len(views) * shortlist.BLOCK < len(views) * len(training)
