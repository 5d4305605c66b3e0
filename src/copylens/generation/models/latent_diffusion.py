"""Unconditional latent diffusion, 2D and 3D.

Rombach et al. 2022, arXiv 2112.10752; Ho et al. 2020, arXiv 2006.11239.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from copylens.config.grids import halve
from copylens.generation import denoising
from copylens.generation.ambient import Ambient
from copylens.generation.diffusion import averaging, denoise_partly, sample_with, scheduler_of
from copylens.imaging.warps import planes
from copylens.jobs.lean_monai import nets, schedulers
from copylens.jobs.seeds import derive_seed
from copylens.training.module import LatentSpace, TrainedModule
from copylens.training.privacy import private, spent

SETTINGS = """
required: [autoencoder, channels, training, sampling]
properties:
  autoencoder: {$ref: "#/$defs/autoencoder"}
  n_train: {$ref: "#/$defs/n_train", default: null}
  # `condition`: the U-Net is told how each image was changed, and draws unchanged ones (Karras et al. 2022, arXiv
  # 2206.00364, appendix F).
  augment: {$ref: "#/$defs/told_augment", default: null}
  # Above this share of the noise levels the U-Net sees training images with noise only (Shah et al. 2025, arXiv
  # 2502.21278).
  ambient: {oneOf: [{type: "null"}, {type: number, exclusiveMinimum: 0, exclusiveMaximum: 1}], default: null}
  # The network of this name on another data set, trained with the same seed, that the training starts from; its
  # autoencoder and the scale of its latents are used.
  pretrained: {$ref: "#/$defs/pretrained", default: null}
  # The network of this name on the same data set, trained with the same seed, whose samples the U-Net learns from in
  # the place of training images: what that network's `sampling.reject` leaves out, the U-Net never sees.
  teacher: {$ref: "#/$defs/teacher", default: null}
  # Differential privacy for each patient (`copylens.training.privacy`).
  privacy: {$ref: "#/$defs/privacy", default: null}
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

GAP_LEVELS = (0.1, 0.2, 0.3, 0.4)  # shares of the timesteps at which the gap of losses is measured


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
        is_told = (settings["augment"] or {}).get("condition")
        self.n_told = len(latent_grid) + len(planes(len(latent_grid))) if is_told else 0
        if self.n_told:
            self.unet.num_class_embeds = self.n_told
            embedding: torch.nn.Module = torch.nn.Linear(self.n_told, 4 * channels[0], bias=False)
            self.unet.class_embedding = embedding  # type: ignore[assignment]
        self.average = AveragedModel(self.unet, multi_avg_fn=averaging(settings["ema_decay"]))
        self.register_buffer("scale_factor", torch.ones(()))
        self.scheduler = scheduler_of(schedulers.DDPMScheduler, settings)
        self.ambient = None
        if settings["ambient"] is not None:
            self.ambient = Ambient(self.scheduler.alphas_cumprod, settings["ambient"])

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
        if not self.settings["pretrained"]:
            self.scale_factor = 1 / torch.sqrt(mean.var() + (deviation**2).mean())
        if self.settings["augment"]:
            return (images_BC,)
        latents = mean * self.scale_factor, deviation * self.scale_factor
        if self.ambient is None:
            return latents
        generator = torch.Generator().manual_seed(derive_seed(torch.initial_seed(), "ambient noise"))
        return *latents, torch.randn(mean.shape, generator=generator)

    def start_from(self, weights):
        self.load_weights(weights)
        self.unet.load_state_dict(self.average.module.state_dict())

    def configure_optimizers(self):
        optimizers, schedules = self.adamw(self.unet.parameters())
        settings = self.settings
        if settings["privacy"]:
            n = len(np.unique(self.patients))
            optimizers = [private(self.unet, optimizers[0], settings["privacy"], settings["training"], n)]
            schedules[0].optimizer = optimizers[0]
        return optimizers, schedules

    def spent(self):
        if not self.settings["privacy"]:
            return {}
        return spent(self.settings["privacy"], self.settings["training"], len(np.unique(self.patients)))

    def training_step(self, batch, step, descend):
        nobody = not len(batch[0])
        if nobody:  # was taken in a private step: noise alone moves the network
            batch = [part.new_zeros(1, *part.shape[1:]) for part in batch]
        mean, deviation, how, fixed = self._batch(batch)
        latent = mean + deviation * torch.randn_like(mean)
        noise = torch.randn_like(latent)
        timesteps = torch.randint(0, self.scheduler.num_train_timesteps, (len(latent),), device=latent.device)
        noisy, target = self.noisy_and_target(latent, noise, timesteps)
        if self.ambient is None:
            loss = functional.mse_loss(self._output(self.unet, noisy, timesteps, how), target)
        else:
            loss = self._ambient_loss(self.ambient, (mean, fixed, noise), timesteps, (noisy, target))
        descend(0 * loss if nobody else loss)
        self.average.update_parameters(self.unet)
        return {"loss": loss}

    def _batch(self, batch):
        """Mean and deviation of the latents; how the images were changed, and their fixed noise, where they have it."""
        if not self.settings["augment"]:
            return batch[0], batch[1], None, batch[2] if self.ambient else None
        images, how = self.augmented_by(batch[0])
        mean, deviation = (part * self.scale_factor for part in self.autoencoder.encode(images))
        return mean, deviation, how, None

    def _ambient_loss(self, ambient: Ambient, given, timesteps, usual) -> torch.Tensor:
        """given: latents, their fixed noise and added noise; usual: input and target below the ambient level."""
        (mean, fixed, added), above = given, ambient.applies(timesteps)
        above_B1 = above.view(-1, *[1] * (mean.ndim - 1))
        noisy = torch.where(above_B1, ambient.noisy(mean, fixed, added, timesteps), usual[0])
        output = self._output(self.unet, noisy, timesteps, None)
        below = (output - usual[1]).square().flatten(1).mean(1)
        noise = self.noise_of(output, noisy, timesteps)
        losses = ambient.losses(noise, added, timesteps, self.settings["prediction"])
        return torch.where(above, losses, below).mean()

    def _output(self, unet, noisy, timesteps, how) -> torch.Tensor:
        """The output of the U-Net, told how images were changed; None says that they weren't."""
        if not self.n_told:
            return unet(noisy, timesteps)
        how = torch.zeros(len(noisy), self.n_told, device=noisy.device) if how is None else how
        return unet(noisy, timesteps, class_labels=how)

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
        return self._output(self.average.module, noisy, timesteps, None)

    def noise_of(self, prediction, noisy, timestep: int | torch.Tensor) -> torch.Tensor:
        """The noise in `noisy` by the U-Net's prediction at one timestep, or at timesteps [B]."""
        kept = self.scheduler.alphas_cumprod.to(noisy.device)[timestep].view(-1, *[1] * (noisy.ndim - 1))
        return denoising.noise_in(prediction, noisy, kept, self.settings["prediction"])

    def denoising_gap(self, n_images):
        if not len(self.known.get("calibration", [])):
            raise ValueError("training.stop: needs calibration images; give the data set some, or leave it out")
        steps = [round(share * self.settings["timesteps"]) for share in GAP_LEVELS]
        train, calibration = (
            self._losses(self.known[role][:n_images], steps, 0).mean().item() for role in ("train", "calibration")
        )
        return calibration / train - 1

    def _losses(self, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
        self.average.module.eval()
        return denoising.losses_by_noise(self, images_BC, timesteps, seed, self.settings["training"]["batch_size"])

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
    module.average.module.eval()
    yield from sample_with(module.predict, module, n, seed, sampling, first)


@torch.no_grad()
def round_trip(module: LatentDiffusion, images_BC: torch.Tensor, strength: float, seed: int) -> torch.Tensor:
    """Images [B, 1, *grid] with a share `strength` of the noise levels added to their latents and taken away."""
    module.average.module.eval()
    return denoise_partly(module.predict, module, images_BC, strength, seed)


def losses_by_noise(module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep] (see `copylens.generation.denoising`)."""
    return module._losses(images_BC, timesteps, seed)


def errors_by_noise(
    module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure, [B, timestep] by name (see `copylens.generation.denoising`)."""
    module.average.module.eval()
    return denoising.errors_by_noise(module, images_BC, timesteps, seed, module.settings["training"]["batch_size"])
