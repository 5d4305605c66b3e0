"""An embedding whose correlation estimates the structural similarity that two images would have if they were aligned.

After Scardace et al. 2025, arXiv 2509.16582 (DeepSSIM): the similarity of the embeddings of two transformed images is
regressed on the SSIM of the images before they were transformed. Here similarity is the Pearson correlation, by which
embeddings are compared everywhere else.
"""

import torch

from copylens.detection.networks import EmbeddingNetwork, embed
from copylens.jobs.lean_monai import metrics

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
  flip_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_degrees: {type: number, minimum: 0, maximum: 180, default: 10.0}
  # Brightness and contrast of a view change by up to this share.
  intensity: {$ref: "#/$defs/share", default: 0.2}
  # Number of other images of its batch that each image is compared with.
  others: {$ref: "#/$defs/count", default: 4}
  neighbours: {$ref: "#/$defs/count", default: 50}
  search: {$ref: "#/$defs/search", default: {}}
  training: {$ref: "#/$defs/training"}
"""

WINDOW = 7  # pixels, of the SSIM


class DeepSSIM(EmbeddingNetwork):
    """Learns from pairs: a view of each image with another view of it, and with views of some other images."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings, grid)
        window = min(WINDOW, *grid)
        self.ssim = metrics.SSIMMetric(len(grid), win_size=window - (window + 1) % 2, kernel_sigma=1.5)

    def pair_loss(self, image, generator):
        one, other = (self._standardised(self.varied(image, generator)) for _ in range(2))
        losses = []
        for distance in range(min(self.settings["others"] + 1, len(image))):
            wanted = self.ssim(image, image.roll(distance, 0))[:, 0] if distance else torch.ones(len(image))
            correlation = (one * other.roll(distance, 0)).sum(dim=1)
            losses.append(torch.mean((correlation - wanted.to(correlation.device)) ** 2))
        return torch.stack(losses).mean()

    def varied(self, image: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """A flipped and turned view with another contrast and brightness, clipped to [0, 1]."""
        amount, shape = self.settings["intensity"], (2, len(image), *[1] * (image.ndim - 1))
        contrast, brightness = (amount * (2 * torch.rand(shape, generator=generator) - 1)).to(image.device)
        return ((1 + contrast) * self.view(image, generator) + 0.5 * brightness).clamp(0, 1)

    def _standardised(self, image: torch.Tensor) -> torch.Tensor:
        embedding = self(image)
        centred = embedding - embedding.mean(dim=1, keepdim=True)
        return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-6)


def build(settings: dict, grid: list[int]) -> DeepSSIM:
    """An untrained detector for images of shape `grid`."""
    return DeepSSIM(settings, grid)
