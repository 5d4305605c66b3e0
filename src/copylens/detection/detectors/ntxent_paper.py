"""The paper's copy detector: a contrastive embedding (Dar et al., arXiv 2402.01054v3, Methods, "Copy detection").

A clean image and its flipped and rotated copy are a positive pair, every other image of the batch is a negative one;
the loss is NT-Xent (Chen et al. 2020, arXiv 2002.05709, equation 1). Two images are compared by the Pearson correlation
of their embeddings.
"""

from copylens.detection.networks import EmbeddingNetwork, embed
from copylens.jobs.lean_monai import losses

__all__ = ["build", "embed"]

SETTINGS = """
required: [training]
properties:
  seed: {type: integer, minimum: 0, default: 0}
  embedding_2d: {$ref: "#/$defs/count", default: 128}
  embedding_3d: {$ref: "#/$defs/count", default: 32}
  # A ResNet has four stages.
  channels_2d: {$ref: "#/$defs/widths", minItems: 4, maxItems: 4, default: [16, 32, 64, 128]}
  blocks_2d: {$ref: "#/$defs/widths", minItems: 4, maxItems: 4, default: [1, 1, 1, 1]}
  channels_3d: {$ref: "#/$defs/widths", default: [8, 16, 32]}
  temperature: {$ref: "#/$defs/positive", default: 0.07}
  flip_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_degrees: {type: number, minimum: 0, maximum: 180, default: 5.0}
  neighbours: {$ref: "#/$defs/count", default: 50}
  search: {$ref: "#/$defs/search", default: {}}
  training: {$ref: "#/$defs/training"}
"""


class NTXentPaper(EmbeddingNetwork):
    """A clean image and its view are a positive pair; all other pairs of the batch are negative."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings, grid)
        self.loss = losses.ContrastiveLoss(temperature=settings["temperature"])

    def pair_loss(self, image, generator):
        return self.loss(self(image), self(self.view(image, generator)))


def build(settings: dict, grid: list[int]) -> NTXentPaper:
    """An untrained detector for images of shape `grid`."""
    return NTXentPaper(settings, grid)
