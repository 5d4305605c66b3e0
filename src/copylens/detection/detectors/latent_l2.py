"""Distance in the latent space of an autoencoder, trained for this detector on the training images."""

import numpy as np
import torch
from torch.nn import functional

from copylens.generation.models import autoencoder_kl
from copylens.imaging.filters import no_larger, resize
from copylens.training.module import TrainedModule

SETTINGS = """
required: [training]
properties:
  seed: {type: integer, minimum: 0, default: 0}
  # Images are compared with at most this many pixels along the longest side.
  size: {type: integer, minimum: 8, default: 64}
  channels: {$ref: "#/$defs/widths", default: [16, 32, 32]}
  latent_channels: {$ref: "#/$defs/count", default: 4}
  norm_groups: {$ref: "#/$defs/count", default: 8}
  kl_weight: {$ref: "#/$defs/weight", default: 1.0e-6}
  neighbours: {$ref: "#/$defs/count", default: 50}
  training: {$ref: "#/$defs/training"}
"""

# The autoencoder's other settings: plain reconstruction.
PLAIN = {"res_blocks": 1, "attention_levels": [], "adversarial_weight": 0.0, "perceptual_weight": 0.0, "augment": None}


class LatentL2(TrainedModule):
    """Images [B, 1, *grid] in [0, 1] to the latents' means [B, d]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.grid = no_larger(grid, settings["size"], multiple=2 ** (len(settings["channels"]) - 1))
        self.autoencoder = autoencoder_kl.build({**settings, **PLAIN}, self.grid)

    def configure_optimizers(self):
        return self.autoencoder.configure_optimizers()

    def prepare(self, images_BC):
        return (resize(images_BC, self.grid),)

    def training_step(self, batch, step, descend):
        return self.autoencoder.training_step(batch, step, descend)

    def validation_step(self, batch, batch_index):
        images_BC = resize(batch[0], self.grid)
        return functional.l1_loss(self.autoencoder.decode(self.autoencoder.encode(images_BC)[0]), images_BC)

    def weights(self):
        return self.autoencoder.weights()

    def load_weights(self, weights):
        self.autoencoder.load_weights(weights)


def build(settings: dict, grid: list[int]) -> LatentL2:
    """An untrained detector for images of shape `grid`."""
    return LatentL2(settings, grid)


@torch.no_grad()
def embed(module: LatentL2, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    size = module.settings["training"]["batch_size"]
    chunks = [resize(chunk.to(module.device), module.grid) for chunk in images_BC.split(size)]
    return torch.cat([module.autoencoder.encode(chunk)[0].flatten(1).cpu() for chunk in chunks])


def compare(module: LatentL2, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """Minus the distance, [B, T], of images [B, 1, *grid] and training images given by their embeddings [T, d]."""
    return -torch.cdist(embed(module, images_BC), torch.from_numpy(np.asarray(embeddings))).numpy()
