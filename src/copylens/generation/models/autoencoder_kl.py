"""Autoencoder with a KL-regularised latent space, 2D and 3D (Rombach et al. 2022, arXiv 2112.10752, section 3.1)."""

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
  attention_levels: {$ref: "#/$defs/flags", default: []}
  norm_groups: {$ref: "#/$defs/count", default: 8}
  kl_weight: {$ref: "#/$defs/weight", default: 1.0e-6}
  adversarial_weight: {$ref: "#/$defs/weight", default: 0.0}
  adversarial_start: {type: integer, minimum: 0, default: 0}
  discriminator_channels: {$ref: "#/$defs/count", default: 32}
  perceptual_weight: {$ref: "#/$defs/weight", default: 0.0}
  training: {$ref: "#/$defs/training"}
"""


class AutoencoderKL(Autoencoder):
    """L1 + KL to a standard normal, with optional patch-adversarial and perceptual terms."""

    network: nets.AutoencoderKL

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings, grid)
        channels = settings["channels"]
        self.latent_shape = [settings["latent_channels"], *halve(grid, len(channels) - 1, "grid")]
        attention = settings["attention_levels"] or [False] * len(channels)
        self.network = nets.AutoencoderKL(
            spatial_dims=len(grid),
            channels=channels,
            num_res_blocks=settings["res_blocks"],
            attention_levels=attention,
            latent_channels=settings["latent_channels"],
            norm_num_groups=settings["norm_groups"],
            with_encoder_nonlocal_attn=any(attention),
            with_decoder_nonlocal_attn=any(attention),
        )

    def reconstruct(self, image):
        mean, deviation = self.network.encode(image)
        reconstructed = self.network.decode(self.network.sampling(mean, deviation))
        # Rombach et al. 2022, equation 25 and section G: KL to a standard normal, summed over a latent.
        terms = mean**2 + deviation**2 - torch.log(deviation**2) - 1
        return reconstructed, {"kl": (self.settings["kl_weight"], 0.5 * terms.flatten(1).sum(1).mean())}

    @torch.no_grad()
    def encode(self, image):
        return self.network.encode(image)

    @torch.no_grad()
    def decode(self, latent):
        return self.network.decode(latent).clamp(0, 1)


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> AutoencoderKL:
    """An untrained autoencoder for images of shape `grid`; it has no upstream network."""
    return AutoencoderKL(settings, grid)
