"""The grid that images are compared on."""

import pytest

from copylens.data.grids import grid_of


@pytest.mark.parametrize(
    ("real", "synthetic", "grid", "why"),
    [
        ([(256, 256)], [(256, 256)], (64, 64), "images are 256x256"),
        ([(512, 256)], [(512, 256)], (64, 32), "images are 512x256"),
        ([(40, 40)], [(40, 40)], (40, 40), "their own size"),
        ([(36, 50, 36)], [(36, 50, 36)], (24, 32, 24), "32 pixels a side"),
        ([(100, 80), (120, 90), (140, 100)], [(64, 64)], (64, 48), "4 sizes from 64x64 to 140x100"),
    ],
)
def test_proportions_are_kept_and_nothing_is_enlarged(real, synthetic, grid, why):
    chosen, reason = grid_of({"training": real, "synthetic": synthetic})
    assert chosen == grid
    assert why in reason


def test_2d_and_3d_images_have_no_grid():
    with pytest.raises(ValueError, match="2D and 3D images"):
        grid_of({"training": [(16, 16)], "synthetic": [(8, 8, 8)]})
