"""Unconditional latent diffusion in MONAI bundles, a folder or a zip, of today's MONAI or MONAI Generative Models.

Of the configuration only the entries of the autoencoder, the U-Net and the scheduler are used, and they are parsed, not
evaluated. Weights are tensors alone.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from copylens.config.spec import data_root
from copylens.data.splits import rows_of
from copylens.generation import denoising, saved
from copylens.generation.bundles import NETWORKS, SCHEDULERS, Bundle, part, resolved, tensors_of
from copylens.generation.diffusion import sample_with, scheduler_of
from copylens.generation.latent_scale import fit_scale
from copylens.generation.saved_denoiser import SavedDenoiser
from copylens.jobs.lean_monai import nets, schedulers
from copylens.training.module import LatentSpace, TrainedModule, device

SETTINGS = """
required: [folder, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  # The bundle, a folder or a zip, relative to $COPYLENS_DATA; and the files in it.
  folder: {type: string, minLength: 1}
  config: {type: string, minLength: 1, default: configs/inference.json}
  weights: {type: string, minLength: 1, default: models/model.pt}
  autoencoder_weights: {type: string, minLength: 1, default: models/model_autoencoder.pt}
  # By what latents are multiplied, 1 / their standard deviation in training; null finds it on the calibration images.
  scale_factor: {oneOf: [{type: "null"}, {$ref: "#/$defs/positive"}], default: null}
  # Values of black (0) and white (1) in its training images.
  black: {type: number, default: 0.0}
  white: {type: number, default: 1.0}
  epoch: {type: integer, minimum: 0, default: 0}
  # Earlier states of the same training: other files of the U-Net's weights in the bundle.
  earlier: {$ref: "#/$defs/earlier", default: []}
  # How many images are encoded, and their losses measured, at a time.
  batch_size: {$ref: "#/$defs/count", default: 8}
  sampling: {$ref: "#/$defs/diffusion_sampling"}
"""

CONDITIONS = ("with_conditioning", "cross_attention_dim", "num_class_embeds")
SCHEDULES = ("linear_beta", "scaled_linear_beta", "cosine")
PREDICTIONS = ("epsilon", "v_prediction", "sample")


class BundleAutoencoder(LatentSpace):
    """A bundle's autoencoder for images of shape `grid`."""

    def __init__(self, network: torch.nn.Module, settings: dict, latent_shape: list[int]):
        super().__init__(settings)
        self.network: Any = network
        self.latent_shape = latent_shape

    @torch.no_grad()
    def encode(self, image):
        black, white = self.settings["black"], self.settings["white"]
        return self.network.encode(black + (white - black) * image)

    @torch.no_grad()
    def decode(self, latent):
        black, white = self.settings["black"], self.settings["white"]
        return ((self.network.decode(latent) - black) / (white - black)).clamp(0, 1)


class MonaiBundle(SavedDenoiser):
    """A bundle's networks. Their settings lie beside the weights, so that the bundle is read only once."""

    autoencoder: BundleAutoencoder
    unet: torch.nn.Module

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        if settings["black"] == settings["white"]:
            raise ValueError("models.white: is the value of black; they must differ")
        self.grid = grid
        self.register_buffer("scale_factor", torch.ones(()))

    def prepare(self, images_BC):
        """Nothing is trained: read the bundle, and find the latents' scale on calibration images [B, 1, *grid]."""
        weights = _read(self.settings, self.grid, self.settings["weights"])
        self.load_weights(weights | {"scale_factor": torch.tensor(self.settings["scale_factor"] or 1.0)})
        if self.settings["scale_factor"] is None:
            self.to(device())
            self.scale_factor = torch.tensor(fit_scale(self, images_BC, self.settings["batch_size"]), device=device())
            print(f"scale_factor {float(self.scale_factor):.4g}: codes the calibration images in least space")
        return (images_BC,)

    def earlier(self):
        """The earlier states that are named."""
        scale = {"scale_factor": self.scale_factor.cpu()}
        return self.states(lambda path: _read(self.settings, self.grid, path) | scale)

    def weights(self):
        return {
            "architecture": self.architecture,
            "scale_factor": self.scale_factor,
            **saved.with_prefix(self.unet.state_dict(), "unet"),
            **saved.with_prefix(self.autoencoder.network.state_dict(), "autoencoder"),
        }

    def load_weights(self, weights):
        self.architecture, self.scale_factor = weights["architecture"], weights["scale_factor"]
        described = saved.from_tensor(self.architecture)
        self.unet = saved.loaded(_network(described["unet"], "unet"), saved.of_prefix(weights, "unet"))
        network = _network(described["autoencoder"], "autoencoder")
        saved.loaded(network, saved.of_prefix(weights, "autoencoder"))
        self.autoencoder = BundleAutoencoder(network, self.settings, described["latent_shape"])
        self.settings = self.settings | described["schedule"]
        noise = scheduler_of(schedulers.DDPMScheduler, self.settings).alphas_cumprod
        self.schedule = denoising.NoiseSchedule(noise, self.settings["prediction"])

    def latents(self, images_BC: torch.Tensor) -> torch.Tensor:
        """Scaled latents of images [B, 1, *grid]: posterior means."""
        return self.autoencoder.encode(images_BC)[0] * self.scale_factor

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The U-Net's output."""
        return self.unet(noisy, timesteps)


def rows(splits: pd.DataFrame) -> np.ndarray:
    """Rows of images.npy on which the latents' scale is found: those of the calibration patients."""
    return rows_of(splits, "calibration")


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> MonaiBundle:
    """A bundle without networks, for images of shape `grid`; it has no upstream network."""
    return MonaiBundle(settings, grid)


@torch.no_grad()
def sample(module: MonaiBundle, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """By MONAI's samplers, as a latent diffusion model of this library."""
    yield from sample_with(module.predict, module, n, seed, sampling, first)


def losses_by_noise(module: MonaiBundle, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep] (see `copylens.generation.denoising`)."""
    return denoising.losses_by_noise(module, images_BC, timesteps, seed, module.settings["batch_size"])


def errors_by_noise(
    module: MonaiBundle, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure, [B, timestep] by name (see `copylens.generation.denoising`)."""
    return denoising.errors_by_noise(module, images_BC, timesteps, seed, module.settings["batch_size"])


def _read(settings: dict, grid: list[int], weights: str) -> dict[str, torch.Tensor]:
    """The networks of a bundle, as the module's weights without their scale; ValueError for other bundles."""
    path = data_root() / settings["folder"]
    if not path.exists():
        raise ValueError(f"models.folder: there is no bundle {path}; paths are relative to COPYLENS_DATA")
    bundle = Bundle(path)
    described = _described(bundle.config(settings["config"]), settings["config"], grid)
    tensors = {"architecture": saved.as_tensor(described)}
    for name, file in (("unet", weights), ("autoencoder", settings["autoencoder_weights"])):
        network = _network(described[name], f"{settings['config']}: {name}")
        tensors |= saved.with_prefix(tensors_of(bundle, file, network), name)
    return tensors


def _described(config: dict, name: str, grid: list[int]) -> dict:
    """The settings of the parts, the shape of the latents, and the noise schedule."""
    autoencoder = part(config, "AutoencoderKL", NETWORKS, name)
    unet = part(config, "DiffusionModelUNet", NETWORKS, name)
    scheduler = part(config, "Scheduler", SCHEDULERS, name)
    named = [key for key in CONDITIONS if unet.get(key)]
    if named:
        raise ValueError(
            f"{name}: the U-Net draws images on a condition ({named[0]}); fix it in a program, with a model of kind "
            "command"
        )
    for key in ("in_channels", "out_channels"):
        if autoencoder.get(key, 1) != 1:
            raise ValueError(f"{name}: the autoencoder's {key} is {autoencoder[key]!r}; grey images have 1 channel")
    for dims in (autoencoder.get("spatial_dims"), unet.get("spatial_dims")):
        if dims != len(grid):
            raise ValueError(f"{name}: spatial_dims is {dims!r}, and the data set's grid has {len(grid)} axes")
    levels = autoencoder.get("channels")
    if not isinstance(levels, list) or not levels:
        raise ValueError(f"{name}: the autoencoder's channels must be a list, one entry for each level")
    shrinking = 2 ** (len(levels) - 1)
    if "latent_shape" in config:
        latent = resolved(config, config["latent_shape"], f"{name}: latent_shape")
        if not isinstance(latent, list) or not all(isinstance(size, int) and 0 < size < 2**16 for size in latent):
            raise ValueError(f"{name}: latent_shape is {latent!r}; it must be the latents' channels and grid")
        saved.refuse_another_grid([size * shrinking for size in latent[1:]], grid, name)
    elif any(size % shrinking for size in grid):
        raise ValueError(
            f"{name}: its autoencoder takes sizes that are multiples of {shrinking}; change the data set's grid"
        )
    channels = saved.whole_number(autoencoder, "latent_channels", name)
    return {
        "autoencoder": autoencoder,
        "unet": unet,
        "latent_shape": [channels, *(size // shrinking for size in grid)],
        "schedule": _schedule(scheduler, name),
    }


def _schedule(scheduler: dict, name: str) -> dict:
    """The noise schedule, under this library's names."""
    found = {
        "timesteps": saved.whole_number(
            {"num_train_timesteps": 1000} | scheduler, "num_train_timesteps", name, least=2
        ),
        "schedule": scheduler.get("schedule", "linear_beta"),
        "prediction": scheduler.get("prediction_type", "epsilon"),
        "beta_start": scheduler.get("beta_start", 1e-4),
        "beta_end": scheduler.get("beta_end", 2e-2),
    }
    for key, allowed in (("schedule", SCHEDULES), ("prediction", PREDICTIONS)):
        if found[key] not in allowed:
            raise ValueError(f"{name}: the scheduler's {key} is {found[key]!r}; these are known: {', '.join(allowed)}")
    betas = found["beta_start"], found["beta_end"]
    if not all(isinstance(beta, int | float) and 0 < beta < 1 for beta in betas):
        raise ValueError(f"{name}: the scheduler's beta_start and beta_end are {betas}; they must lie between 0 and 1")
    return found


def _network(settings: dict, name: str) -> torch.nn.Module:
    """A network of MONAI without memory for its weights."""
    family = {"AutoencoderKL": nets.AutoencoderKL, "DiffusionModelUNet": nets.DiffusionModelUNet}[settings["_target_"]]
    known = inspect.signature(family).parameters
    further = sorted(settings.keys() - set(known) - {"_target_"})
    if further:
        raise ValueError(f"{name}: {further[0]} is no setting of MONAI's {settings['_target_']}")
    depth = settings.get("num_res_blocks", 2)
    for blocks in depth if isinstance(depth, list) else [depth]:
        saved.whole_number({"num_res_blocks": blocks}, "num_res_blocks", name, most=saved.MOST_PARTS)
    return saved.built(lambda: family(**{key: value for key, value in settings.items() if key != "_target_"}), name)
