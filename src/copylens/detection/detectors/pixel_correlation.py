"""The simplest detector: the Pearson correlation of two images' pixels, without alignment."""

import torch

from copylens.imaging.filters import no_larger, resize
from copylens.training.module import Untrained

SETTINGS = """
properties:
  # Images are compared with at most this many pixels along the longest side.
  size: {type: integer, minimum: 8, default: 64}
  neighbours: {$ref: "#/$defs/count", default: 50}
  search: {$ref: "#/$defs/search", default: {}}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


class Pixels(Untrained):
    """Images [B, 1, *grid] to their pixels [B, d], with at most `size` along the longest side."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.grid = no_larger(grid, settings["size"])

    def forward(self, images_BC: torch.Tensor) -> torch.Tensor:
        return resize(images_BC, self.grid).flatten(1)


def build(settings: dict, grid: list[int]) -> Pixels:
    """A detector for images of shape `grid`."""
    return Pixels(settings, grid)


def embed(module: Pixels, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    return module(images_BC).cpu()
