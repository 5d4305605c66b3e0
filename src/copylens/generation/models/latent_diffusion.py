"""Unconditional latent diffusion, 2D and 3D.

Rombach et al. 2022, arXiv 2112.10752; Ho et al. 2020, arXiv 2006.11239.
"""

from collections.abc import Iterator

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from copylens.config.grids import halve
from copylens.generation.diffusion import averaging, denoise_partly, sample_with, scheduler_of
from copylens.jobs.lean_monai import nets, schedulers
from copylens.jobs.seeds import derive_seed
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


NOISES = 4  # that an attack on membership adds to each image at each level
MIDDLE = 1 / 8, 3 / 8  # spatial frequencies, in cycles a pixel


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


@torch.no_grad()
def losses_by_noise(module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep], on the CPU; the same noise every time."""
    unet, size = module.average.module.eval(), module.settings["training"]["batch_size"]
    generator = torch.Generator().manual_seed(derive_seed(seed, "denoising"))
    rows = []
    for chunk in images_BC.split(size):
        latent = module.autoencoder.encode(chunk.to(module.device))[0] * module.scale_factor
        noise = torch.randn(latent.shape, generator=generator).to(module.device)
        errors = []
        for timestep in timesteps:
            steps = torch.full((len(latent),), timestep, device=module.device)
            noisy, target = module.noisy_and_target(latent, noise, steps)
            error = functional.mse_loss(unet(noisy, steps), target, reduction="none")
            errors.append(error.flatten(1).mean(1))
        rows.append(torch.stack(errors, dim=1).cpu())
    return torch.cat(rows)


@torch.no_grad()
def errors_by_noise(
    module: LatentDiffusion, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure of each image at each of `timesteps`, [B, timestep], on the CPU.

    loss: the denoising loss, the mean of `NOISES` noises; middle: the same in the middle spatial frequencies of the
    latent (Zhao et al. 2025, arXiv 2506.14919); norm: the mean square of the noise that is predicted for the latent
    itself, to which none was added (Rao et al. 2025, arXiv 2509.25003).
    """
    unet, size = module.average.module.eval(), module.settings["training"]["batch_size"]
    generator = torch.Generator().manual_seed(derive_seed(seed, "denoising"))
    rows: dict[str, list[torch.Tensor]] = {"loss": [], "middle": [], "norm": []}
    for chunk in images_BC.split(size):
        latent = module.autoencoder.encode(chunk.to(module.device))[0] * module.scale_factor
        axes = tuple(range(2, latent.ndim))
        frequencies = torch.meshgrid(*[torch.fft.fftfreq(latent.shape[axis]) for axis in axes], indexing="ij")
        radius = torch.stack(frequencies).norm(dim=0).to(module.device)
        middle = (radius > MIDDLE[0]) & (radius <= MIDDLE[1])
        noises = [torch.randn(latent.shape, generator=generator).to(module.device) for _ in range(NOISES)]
        found: dict[str, list[torch.Tensor]] = {name: [] for name in rows}
        for timestep in timesteps:
            steps = torch.full((len(latent),), timestep, device=module.device)
            errors = []
            for noise in noises:
                noisy, target = module.noisy_and_target(latent, noise, steps)
                errors.append(unet(noisy, steps) - target)
            spectra = [torch.fft.fftn(error, dim=axes).abs() ** 2 * middle for error in errors]
            found["loss"].append(torch.stack([error.square().flatten(1).mean(1) for error in errors]).mean(0))
            found["middle"].append(torch.stack([spectrum.flatten(1).mean(1) for spectrum in spectra]).mean(0))
            predicted = module.noise_of(unet(latent, steps), latent, timestep)
            found["norm"].append(predicted.square().flatten(1).mean(1))
        for name, values in found.items():
            rows[name].append(torch.stack(values, dim=1).cpu())
    return {name: torch.cat(parts) for name, parts in rows.items()}
