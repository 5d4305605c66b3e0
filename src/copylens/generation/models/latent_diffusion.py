"""Unconditional latent diffusion, 2D and 3D.

Rombach et al. 2022, arXiv 2112.10752; Ho et al. 2020, arXiv 2006.11239.
"""

from collections.abc import Iterator

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from copylens.config.grids import halve
from copylens.generation import denoising
from copylens.generation.diffusion import averaging, denoise_partly, sample_with, scheduler_of
from copylens.jobs.lean_monai import nets, schedulers
from copylens.training.module import LatentSpace, TrainedModule

SETTINGS = """
required: [autoencoder, channels, training, sampling]
properties:
  autoencoder: {$ref: "#/$defs/autoencoder"}
  n_train: {$ref: "#/$defs/n_train", default: null}
  augment: {$ref: "#/$defs/augment", default: null}
  channels: {$ref: "#/$defs/widths"}
  res_blocks: {$ref: "#/$defs/count", default: 1}
  attention_levels: {$ref: "#/$defs/flags", default: []}
  head_channels: {$ref: "#/$defs/count", default: 16}
  norm_groups: {$ref: "#/$defs/count", default: 8}
  prediction: {enum: [epsilon, v_prediction], default: epsilon}
  timesteps: {type: integer, minimum: 2, default: 1000}
  schedule: {$ref: "#/$defs/schedule", default: scaled_linear_beta}
  beta_start: {$ref: "#/$defs/positive", default: 0.0015}
  beta_end: {$ref: "#/$defs/positive", default: 0.0195}
  ema_decay: {type: number, minimum: 0, exclusiveMaximum: 1, default: 0.999}
  training: {$ref: "#/$defs/training"}
  sampling: {$ref: "#/$defs/diffusion_sampling"}
"""


class LatentDiffusion(TrainedModule):
    """A U-Net that denoises the latents of a trained autoencoder; sampling uses its moving average (EMA).

    Latents are encoded once, unless images are augmented: then every step encodes its own.
    """

    compilable = ("unet",)

    def __init__(self, settings: dict, autoencoder: LatentSpace):
        super().__init__(settings)
        # In a tuple, because the autoencoder is neither trained nor saved with this network.
        self._frozen = (autoencoder.eval(),)
        channels = settings["channels"]
        latent_channels, *latent_grid = autoencoder.latent_shape
        halve(latent_grid, len(channels) - 1, "the latent grid")
        attention = settings["attention_levels"] or [False] * len(channels)
        self.unet = nets.DiffusionModelUNet(
            spatial_dims=len(latent_grid),
            in_channels=latent_channels,
            out_channels=latent_channels,
            channels=channels,
            num_res_blocks=settings["res_blocks"],
            attention_levels=attention,
            norm_num_groups=settings["norm_groups"],
            num_head_channels=settings["head_channels"],
        )
        self.average = AveragedModel(self.unet, multi_avg_fn=averaging(settings["ema_decay"]))
        self.register_buffer("scale_factor", torch.ones(()))
        self.scheduler = scheduler_of(schedulers.DDPMScheduler, settings)

    @property
    def autoencoder(self) -> LatentSpace:
        """The autoencoder whose latents are denoised, on this network's device."""
        return self._frozen[0].to(self.device)

    @torch.no_grad()
    def prepare(self, images_BC):
        """Posterior means and deviations of all latents, scaled by 1/std of the drawn latents; or the images."""
        size = self.settings["training"]["batch_size"]
        pairs = [self.autoencoder.encode(chunk.to(self.device)) for chunk in images_BC.split(size)]
        mean, deviation = (torch.cat(parts).cpu() for parts in zip(*pairs, strict=True))
        # Rombach et al. 2022, section G: latents are brought to unit variance.
        self.scale_factor = 1 / torch.sqrt(mean.var() + (deviation**2).mean())
        if self.settings["augment"]:
            return (images_BC,)
        return mean * self.scale_factor, deviation * self.scale_factor

    def configure_optimizers(self):
        return self.adamw(self.unet.parameters())

    def training_step(self, batch, step, descend):
        if self.settings["augment"]:
            encoded = self.autoencoder.encode(self.augmented(batch[0]))
            batch = [part * self.scale_factor for part in encoded]
        mean, deviation = batch
        latent = mean + deviation * torch.randn_like(mean)
        noise = torch.randn_like(latent)
        timesteps = torch.randint(0, self.scheduler.num_train_timesteps, (len(latent),), device=latent.device)
        noisy, target = self.noisy_and_target(latent, noise, timesteps)
        loss = functional.mse_loss(self.unet(noisy, timesteps), target)
        descend(loss)
        self.average.update_parameters(self.unet)
        return {"loss": loss}

    def noisy_and_target(self, latent, noise, timesteps) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and target of the U-Net at these timesteps."""
        noisy = self.scheduler.add_noise(latent, noise, timesteps)
        if self.settings["prediction"] == "epsilon":
            return noisy, noise
        return noisy, self.scheduler.get_velocity(latent, noise, timesteps)

    def latents(self, images_BC: torch.Tensor) -> torch.Tensor:
        """Scaled latents of images [B, 1, *grid]."""
        return self.autoencoder.encode(images_BC)[0] * self.scale_factor

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The averaged U-Net's output."""
        return self.average.module(noisy, timesteps)

    def noise_of(self, prediction, noisy, timestep: int) -> torch.Tensor:
        """The noise in `noisy` by the U-Net's prediction at a timestep."""
        if self.settings["prediction"] == "epsilon":
            return prediction
        kept = self.scheduler.alphas_cumprod[timestep].to(noisy.device)
        return kept.sqrt() * prediction + (1 - kept).sqrt() * noisy

    def weights(self):
        return {"scale_factor": self.scale_factor, **self.average.module.state_dict()}

    def load_weights(self, weights):
        weights = dict(weights)
        self.scale_factor = weights.pop("scale_factor")
        self.average.module.load_state_dict(weights)


def build(settings: dict, grid: list[int], upstream: LatentSpace) -> LatentDiffusion:
    """An untrained diffusion model on the latents of `upstream`, an autoencoder for images of shape `grid`."""
    return LatentDiffusion(settings, upstream)


@torch.no_grad()
def sample(module: LatentDiffusion, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """Image i depends on (seed, its batch), not on the device."""
    yield from sample_with(module.average.module.eval(), module, n, seed, sampling, first)


@torch.no_grad()
def round_trip(module: LatentDiffusion, images_BC: torch.Tensor, strength: float, seed: int) -> torch.Tensor:
    """Images [B, 1, *grid] with a share `strength` of the noise levels added to their latents and taken away."""
    return denoise_partly(module.average.module.eval(), module, images_BC, strength, seed)


def losses_by_noise(module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep] (see `copylens.generation.denoising`)."""
    module.average.module.eval()
    return denoising.losses_by_noise(module, images_BC, timesteps, seed, module.settings["training"]["batch_size"])


def errors_by_noise(
    module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure, [B, timestep] by name (see `copylens.generation.denoising`)."""
    module.average.module.eval()
    return denoising.errors_by_noise(module, images_BC, timesteps, seed, module.settings["training"]["batch_size"])
