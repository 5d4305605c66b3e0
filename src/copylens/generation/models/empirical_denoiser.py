"""The fully memorized limit: the closed-form minimiser of the diffusion loss on the training set.

For noisy latents x = a z + s e with z a training latent, the best estimate of z is the mean of the training latents,
weighted by softmax(-|x - a z|^2 / (2 s^2)) (Karras et al. 2022, arXiv 2206.00364, equation 3 of appendix B.3). Every
latent diffusion model approaches it as it over-trains; sampled to the end it returns training latents.
"""

from collections.abc import Iterator

import torch

from copylens.generation.diffusion import sample_with, scheduler_of
from copylens.jobs.lean_monai import schedulers
from copylens.training.module import LatentSpace, TrainedModule

SETTINGS = """
required: [autoencoder, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  autoencoder: {$ref: "#/$defs/autoencoder"}
  timesteps: {type: integer, minimum: 2, default: 1000}
  schedule: {$ref: "#/$defs/schedule", default: scaled_linear_beta}
  beta_start: {$ref: "#/$defs/positive", default: 0.0015}
  beta_end: {$ref: "#/$defs/positive", default: 0.0195}
  # Images encoded at a time.
  batch_size: {$ref: "#/$defs/count", default: 16}
  sampling: {$ref: "#/$defs/diffusion_sampling"}
"""


class EmpiricalDenoiser(TrainedModule):
    """Keeps the scaled latents of the training images, [scan, *latent_shape]; nothing is trained."""

    def __init__(self, settings: dict, autoencoder: LatentSpace):
        super().__init__(settings)
        self._frozen = (autoencoder.eval(),)
        self.register_buffer("latents", torch.empty(0))
        self.register_buffer("scale_factor", torch.ones(()))

    @property
    def autoencoder(self) -> LatentSpace:
        """The autoencoder whose latents are kept, on this network's device."""
        return self._frozen[0].to(self.device)

    @torch.no_grad()
    def prepare(self, images_BC):
        size = self.settings["batch_size"]
        latents = torch.cat([self.autoencoder.encode(chunk.to(self.device))[0] for chunk in images_BC.split(size)])
        self.scale_factor = 1 / latents.std()
        self.latents = latents * self.scale_factor
        return (self.latents,)

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The noise in `noisy` [B, *latent_shape], all at one timestep, by the posterior mean."""
        kept = self.alphas_cumprod[timesteps[0]]
        scaled = kept.sqrt() * self.latents.flatten(1)
        distance = torch.cdist(noisy.flatten(1), scaled) ** 2
        weights = torch.softmax(-distance / (2 * (1 - kept)), dim=1)
        mean = (weights @ self.latents.flatten(1)).reshape(noisy.shape)
        return (noisy - kept.sqrt() * mean) / (1 - kept).sqrt()

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """The share of the signal that is left at each timestep, squared."""
        return scheduler_of(schedulers.DDPMScheduler, self.settings).alphas_cumprod.to(self.device)

    def weights(self):
        return {"latents": self.latents, "scale_factor": self.scale_factor}

    def load_weights(self, weights):
        self.latents, self.scale_factor = weights["latents"], weights["scale_factor"]


def build(settings: dict, grid: list[int], upstream: LatentSpace) -> EmpiricalDenoiser:
    """A denoiser in the latent space of `upstream`, an autoencoder for images of shape `grid`."""
    return EmpiricalDenoiser({**settings, "prediction": "epsilon"}, upstream)


@torch.no_grad()
def sample(module: EmpiricalDenoiser, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """By the sampler of a latent diffusion model."""
    yield from sample_with(module, module, n, seed, sampling, first)
