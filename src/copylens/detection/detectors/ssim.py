"""Structural similarity (Wang et al. 2004) of an image and its candidates, selected by pixel correlation."""

import numpy as np
import torch

from copylens.detection.detectors.pixel_correlation import Pixels, build, embed
from copylens.imaging.filters import resize
from copylens.jobs.lean_monai import metrics

__all__ = ["build", "embed", "verify"]

SETTINGS = """
properties:
  # Images are compared with at most this many pixels along the longest side.
  size: {type: integer, minimum: 8, default: 64}
  # Pixels of the window.
  window: {type: integer, minimum: 3, default: 7}
  # Number of candidates that each image is compared with.
  neighbours: {$ref: "#/$defs/count", default: 20}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


@torch.no_grad()
def verify(module: Pixels, image_C: torch.Tensor, candidates_BC: torch.Tensor) -> np.ndarray:
    """SSIM [k] of an image [1, *grid] with each candidate [k, 1, *grid]."""
    candidates_BC = resize(candidates_BC, module.grid)
    image_BC = resize(image_C[None], module.grid).expand_as(candidates_BC)
    window = min(module.settings["window"], *module.grid)
    metric = metrics.SSIMMetric(len(module.grid), win_size=window, kernel_sigma=1.5)
    return metric(image_BC, candidates_BC)[:, 0].cpu().numpy()
