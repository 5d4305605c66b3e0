"""Windows of images: where they match, and whose stand out."""

import pytest
import torch

from copylens.imaging.filters import smooth
from copylens.imaging.windows import match_windows, outstanding, windows_of


def maps_of(n: int, grid: tuple, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(n, 2, *grid, generator=torch.Generator().manual_seed(seed))
    return smooth(noise, [1.0] * len(grid))


@pytest.mark.parametrize(("grid", "windows", "pixels"), [((16, 12), 7 * 5, 16), ((8, 10, 6), 3 * 4 * 2, 64)])
def test_windows_are_standardised(grid, windows, pixels):
    found = windows_of(maps_of(3, grid), 4, 2)
    assert found.shape == (2, windows, 3, pixels)
    torch.testing.assert_close(found.mean(dim=-1), torch.zeros(2, windows, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, windows, 3))


@pytest.mark.parametrize("grid", [(20, 24), (12, 14, 10)])
def test_a_window_is_found_near_its_place_and_no_further(grid):
    others = maps_of(4, grid)
    windows = windows_of(others, 4, 2)
    moved = others[:1].roll(1, dims=2)
    near, far = match_windows(moved, windows, 4, 2, (-1, 0, 1))[:, 0], match_windows(moved, windows, 4, 2, (0,))[:, 0]
    assert near.median() > 0.99 > 0.9 > far.median()


def test_an_image_that_is_there_in_part_stands_out():
    others = maps_of(60, (32, 32))
    query = maps_of(1, (32, 32), seed=1)
    query[:, :, :14, :14] = others[17:18, :, :14, :14]
    correlations = match_windows(query, windows_of(others, 5, 2), 5, 2, (-1, 0, 1))
    standing = outstanding(correlations, (0.06, 0.2, 0.6))
    assert standing.shape == (3, 60) and (standing[:2].argmax(dim=1) == 17).all()
    assert standing[0, 17] > 2 * standing[0, torch.arange(60) != 17].max()
    # Brightness and contrast of a window don't matter.
    again = match_windows(3 * query + 1, windows_of(others, 5, 2), 5, 2, (-1, 0, 1))
    torch.testing.assert_close(again, correlations, atol=1e-4, rtol=0)
