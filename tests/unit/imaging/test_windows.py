"""Windows of images: where they match, and whose stand out."""

import pytest
import torch
from torch.nn import functional

from copylens.imaging.filters import smooth
from copylens.imaging.order import ascending
from copylens.imaging.windows import Windows, deviations, outstanding, windows_of


def maps_of(n: int, grid: tuple, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(n, 2, *grid, generator=torch.Generator().manual_seed(seed))
    return smooth(noise, [1.0] * len(grid))


def matched(windows: Windows, query: torch.Tensor, reach: int) -> torch.Tensor:
    """The best correlation of each window over shifts, [window, image]."""
    return (windows.code(query, reach) @ windows.of(slice(None)).mT).amax(dim=1)


@pytest.mark.parametrize(("grid", "windows", "pixels"), [((16, 12), 7 * 5, 16), ((8, 10, 6), 3 * 4 * 2, 64)])
def test_windows_are_standardised(grid, windows, pixels):
    found = windows_of(maps_of(3, grid), 4, 2)
    assert found.shape == (windows, 3, 2 * pixels)
    for channel in found.split(pixels, dim=-1):
        torch.testing.assert_close(channel.mean(dim=-1), torch.zeros(windows, 3), atol=1e-5, rtol=0)
        torch.testing.assert_close(channel.norm(dim=-1), torch.full((windows, 3), 0.5**0.5))


@pytest.mark.parametrize("grid", [(20, 24), (12, 14, 10)])
def test_a_window_is_found_near_its_place_and_no_further(grid):
    others = maps_of(4, grid)
    windows = Windows(others, 4, 2, 2 * 4 ** len(grid))
    moved = others[:1].roll(1, dims=2)
    near, far = matched(windows, moved, 1)[:, 0], matched(windows, moved, 0)[:, 0]
    assert near.median() > 0.99 > 0.9 > far.median()


@pytest.mark.parametrize(("grid", "reach", "stride"), [((16, 18), 4, 2), ((16, 14), 1, 1), ((8, 10, 7), 2, 1)])
def test_each_shift_is_that_of_the_moved_image(grid, reach, stride):
    """And components are those of standardised windows."""
    dims, images = len(grid), 4 + 3 * maps_of(2, grid)
    windows = Windows(maps_of(30, grid), 4, 2, 12)
    codes = windows.code(images, reach, stride).unflatten(1, (2, *[2 * reach // stride + 1] * dims))
    along = (reach - stride, *[reach] * (dims - 1))  # one stride back along the first axis
    padded = functional.pad(images, [reach] * (2 * dims), mode="replicate")
    for axis, (start, size) in enumerate(zip(along, grid, strict=True), start=2):
        padded = padded.narrow(axis, start, size)
    expected = torch.einsum("wbp,wpc->wbc", windows_of(padded, 4, 2), windows.basis.movedim(0, 1).flatten(1, 2))
    chosen = (slice(None), slice(None), reach // stride - 1, *[reach // stride] * (dims - 1))
    torch.testing.assert_close(codes[chosen], expected, atol=1e-5, rtol=0)


def test_a_flat_window_is_like_no_other():
    windows = Windows(maps_of(30, (16, 18)), 4, 2, 12)
    flat = torch.full((1, 2, 16, 18), 0.7)
    assert windows.code(flat, 1).abs().max() < 0.01


@pytest.mark.parametrize("n", [1, 2, 7, 8, 301])
def test_deviations_are_those_of_the_median_absolute_difference(n):
    rows = torch.randn(5, n, generator=torch.Generator().manual_seed(n)).mul(3).exp()
    centred = rows - rows.median(dim=1, keepdim=True).values
    spread = centred.abs().median(dim=1, keepdim=True).values
    torch.testing.assert_close(deviations(rows, 0.1), centred / (1.4826 * spread).clamp(min=0.1), atol=0, rtol=1e-6)


def test_components_keep_what_tells_images_apart():
    others = maps_of(60, (32, 32))
    query = others[17:18] + 0.05 * maps_of(1, (32, 32), seed=1)
    exact, few = (matched(Windows(others, 5, 2, n), query, 1) for n in (50, 16))
    assert (few.mean(dim=0).argmax() == 17) and (exact - few).abs().median() < 0.1


def test_an_image_that_is_there_in_part_stands_out():
    others = maps_of(60, (32, 32))
    query = maps_of(1, (32, 32), seed=1)
    query[:, :, :14, :14] = others[17:18, :, :14, :14]
    windows = Windows(others, 5, 2, 50)
    correlations = matched(windows, query, 1)
    standing = outstanding(correlations.unflatten(0, windows.shape), (0.06, 0.2, 0.6), (4,))
    assert standing.shape == (4, 60) and (standing[[0, 1, 3]].argmax(dim=1) == 17).all()
    others_best = standing[:, torch.arange(60) != 17].amax(dim=1)
    assert standing[0, 17] > 2 * others_best[0]
    assert standing[3, 17] > 2 * others_best[3]
    # Brightness and contrast of a window don't matter.
    torch.testing.assert_close(matched(windows, 3 * query + 1, 1), correlations, atol=1e-4, rtol=0)


def test_rows_are_sorted_alike_everywhere():
    rows = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ascending(rows), rows.sort(dim=1).values)
