"""How much nearer an image lies to one training image than to its neighbourhood, in pixels.

Carlini et al. 2023, "Extracting training data from diffusion models", arXiv 2301.13188, section 4: the distance to a
training image over the mean distance to the 50 nearest ones.
"""

import numpy as np
import torch

from copylens.detection.detectors.pixel_correlation import Pixels, build, embed

__all__ = ["build", "compare", "embed"]

SETTINGS = """
properties:
  # Images are compared with at most this many pixels along the longest side.
  size: {type: integer, minimum: 8, default: 64}
  # Number of nearest training images in the neighbourhood.
  nearest: {$ref: "#/$defs/count", default: 50}
  neighbours: {$ref: "#/$defs/count", default: 50}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


def compare(module: Pixels, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """Minus the ratio, [B, T], of images [B, 1, *grid] and training images given by their embeddings [T, d]."""
    distances = torch.cdist(module(images_BC), torch.from_numpy(np.asarray(embeddings)))
    nearest = distances.topk(min(module.settings["nearest"], distances.shape[1]), largest=False).values
    return -(distances / nearest.mean(dim=1, keepdim=True).clamp(min=1e-12)).numpy()
