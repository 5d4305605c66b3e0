"""Autoencoder with a vector-quantised latent space, 2D and 3D (van den Oord et al. 2017, arXiv 1711.00937).

With `latent_diffusion` on it, this is the second family of the paper (Khader et al. 2023, Medical Diffusion, arXiv
2211.03364): diffusion runs on the latents before they are quantised, and the decoder quantises what it gets.
"""

import torch

from copylens.config.grids import halve
from copylens.generation.autoencoders import Autoencoder
from copylens.jobs.lean_monai import nets
from copylens.training.module import TrainedModule

SETTINGS = """
required: [channels, training]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  augment: {$ref: "#/$defs/augment", default: null}
  channels: {$ref: "#/$defs/widths"}
  latent_channels: {$ref: "#/$defs/count", default: 4}
  res_blocks: {$ref: "#/$defs/count", default: 1}
  # Number of vectors that latents are rounded to, and the decay of their moving average: near 1 they lag behind the
  # encoder in a short training.
  codes: {$ref: "#/$defs/count", default: 256}
  code_decay: {type: number, minimum: 0, exclusiveMaximum: 1, default: 0.8}
  commitment_weight: {$ref: "#/$defs/weight", default: 0.25}
  adversarial_weight: {$ref: "#/$defs/weight", default: 0.0}
  adversarial_start: {type: integer, minimum: 0, default: 0}
  discriminator_channels: {$ref: "#/$defs/count", default: 32}
  perceptual_weight: {$ref: "#/$defs/weight", default: 0.0}
  training: {$ref: "#/$defs/training"}
"""


class AutoencoderVQ(Autoencoder):
    """L1 + commitment to the nearest code, with optional patch-adversarial and perceptual terms."""

    network: nets.VQVAE

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings, grid)
        channels = settings["channels"]
        self.latent_shape = [settings["latent_channels"], *halve(grid, len(channels) - 1, "grid")]
        self.network = nets.VQVAE(
            spatial_dims=len(grid),
            in_channels=1,
            out_channels=1,
            channels=channels,
            num_res_layers=settings["res_blocks"],
            num_res_channels=channels,
            # Per level: stride, kernel, dilation, padding (and output padding). All but the finest halve or double.
            downsample_parameters=[(1, 3, 1, 1)] + [(2, 4, 1, 1)] * (len(channels) - 1),
            upsample_parameters=[(2, 4, 1, 1, 0)] * (len(channels) - 1) + [(1, 3, 1, 1, 0)],
            num_embeddings=settings["codes"],
            embedding_dim=settings["latent_channels"],
            commitment_cost=settings["commitment_weight"],
            decay=settings["code_decay"],
        )

    def reconstruct(self, image):
        reconstructed, commitment = self.network(image)
        return reconstructed, {"commitment": (1.0, commitment)}

    @torch.no_grad()
    def encode(self, image):
        latent = self.network.encode(image)
        return latent, torch.zeros_like(latent)

    @torch.no_grad()
    def decode(self, latent):
        return self.network.decode(self.network.quantize(latent)[0]).clamp(0, 1)


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> AutoencoderVQ:
    """An untrained autoencoder for images of shape `grid`; it has no upstream network."""
    return AutoencoderVQ(settings, grid)
