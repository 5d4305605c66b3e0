"""Variational autoencoder with one latent vector per image, sampled from its prior, 2D and 3D.

Kingma and Welling 2014, arXiv 1312.6114; the weight of the KL term after Higgins et al. 2017.
"""

from collections.abc import Iterator

import torch
from torch.nn import functional

from copylens.config.grids import halve
from copylens.jobs.lean_monai import nets
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
required: [channels, training, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  augment: {$ref: "#/$defs/augment", default: null}
  channels: {$ref: "#/$defs/widths"}
  latent_size: {$ref: "#/$defs/count", default: 64}
  res_blocks: {type: integer, minimum: 0, default: 1}
  kl_weight: {$ref: "#/$defs/weight", default: 1.0}
  training: {$ref: "#/$defs/training"}
  sampling: {$ref: "#/$defs/sampling"}
"""


class VAE(TrainedModule):
    """Binary cross-entropy + KL, summed over an image. Images are [B, 1, *grid] in [0, 1]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        channels = settings["channels"]
        halve(grid, len(channels) - 1, "grid")
        self.network = nets.VarAutoEncoder(
            spatial_dims=len(grid),
            in_shape=(1, *grid),
            out_channels=1,
            latent_size=settings["latent_size"],
            channels=channels,
            strides=[1] + [2] * (len(channels) - 1),
            num_res_units=settings["res_blocks"],
            norm="BATCH",
        )

    def configure_optimizers(self):
        return self.adamw(self.network.parameters())

    def training_step(self, batch, step, descend):
        image = self.augmented(batch[0])
        mean, log_variance = self.network.encode_forward(image)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.network.decode_forward(latent, use_sigmoid=False)
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, image, reduction="sum") / len(image)
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum() / len(image)
        loss = cross_entropy + self.settings["kl_weight"] * kl
        descend(loss)
        with torch.no_grad():
            error = functional.l1_loss(torch.sigmoid(logits), image)
        return {"loss": loss, "kl": kl, "reconstruction": error}

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> VAE:
    """An untrained variational autoencoder for images of shape `grid`; it has no upstream network."""
    return VAE(settings, grid)


@torch.no_grad()
def sample(module: VAE, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """Decoded draws from the standard normal prior."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    latent = torch.randn(n, module.settings["latent_size"], generator=generator)
    for chunk in latent[first:].split(sampling["batch_size"]):
        yield module.network.decode_forward(chunk.to(module.device)).cpu()
