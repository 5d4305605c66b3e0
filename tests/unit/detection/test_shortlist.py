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
    likely = shortlist.CoarseSearch(training)(views)
    assert likely.shape == (300,) and likely.isfinite().all()
    assert set(range(20)) | {123} == set(likely.topk(21).indices.tolist())


def windows(n: int) -> torch.Tensor:
    """Components of 20 windows of images, [window, n, component], of norm 1."""
    return torch.nn.functional.normalize(images(n, (20, 40))[:, 0].movedim(1, 0), dim=2)


def test_a_few_windows_are_enough_at_whichever_shift_they_match():
    training = windows(300)
    queries = windows(308)[:, 300:].movedim(0, 1)[:, :, None].repeat(1, 1, 9, 1)  # [image, window, shift, component]
    queries[3, :4, 7], queries[3, 4:8, 2] = training[:4, 17], training[4:8, 123]
    stand = shortlist.WindowSearch(training)(queries)
    assert stand.shape == (8, 300) and set(stand[3].topk(2).indices.tolist()) == {17, 123}
    alone = shortlist.WindowSearch(training)(queries[3:4])
    assert torch.allclose(stand[3:4], alone, atol=1e-4)


def test_training_images_are_compared_block_by_block():
    training, views = images(5000, (14, 14)), images(300, (14, 14))
    search = shortlist.CoarseSearch(training)
    with Largest() as largest:
        search(views)
    assert largest.numbers <= len(views) * shortlist.BLOCK < len(views) * len(training)
    codes, queries = windows(5000), windows(100).unflatten(1, (4, 25)).movedim(1, 0)
    search = shortlist.WindowSearch(codes)
    with Largest() as largest:
        search(queries)
    assert largest.numbers <= queries[..., 0].numel() * shortlist.BLOCK < queries[..., 0].numel() * 5000
