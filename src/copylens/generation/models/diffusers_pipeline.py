"""Unconditional pipelines that diffusers saved: DDPMPipeline, DDIMPipeline, LDMPipeline, or a UNet2DModel alone.

Nothing is downloaded and no code of the folder is run: settings are JSON, weights safetensors, and classes are those
named here.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from copylens.generation import denoising, saved
from copylens.generation.saved_denoiser import SavedDenoiser
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
required: [folder, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  # The folder that save_pretrained wrote, relative to $COPYLENS_DATA, and after how many epochs of training.
  folder: {type: string, minLength: 1}
  epoch: {type: integer, minimum: 0, default: 0}
  # Folders of earlier states of the same training.
  earlier: {$ref: "#/$defs/earlier", default: []}
  # How many images' losses are measured at a time.
  batch_size: {$ref: "#/$defs/count", default: 16}
  sampling: {$ref: "#/$defs/pipeline_sampling"}
"""

PIPELINES = ("DDPMPipeline", "DDIMPipeline", "LDMPipeline")
AUTOENCODERS = ("VQModel", "AutoencoderKL")
# Schedulers of pixels, which add noise by a generator, and further ones of latents.
SCHEDULERS = ("DDPMScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler")
MORE_SCHEDULERS = ("PNDMScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
WEIGHTS = "diffusion_pytorch_model.safetensors"
INSTALL = "models: kind diffusers_pipeline needs the package diffusers; pip install 'copylens[diffusers]'"


class DiffusersPipeline(SavedDenoiser):
    """A pipeline's networks. Their settings lie beside the weights, so that the user's folder is read only once."""

    unet: Any  # diffusers' networks
    decoder: Any

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.grid = grid

    def prepare(self, images_BC):
        """Nothing is trained: read the user's folder."""
        self.load_weights(_read(self.settings["folder"], "models.folder", self.grid))
        return (images_BC,)

    def earlier(self):
        """The earlier states that are named."""
        return self.states(lambda path: _read(path, "models.earlier", self.grid))

    def weights(self):
        tensors = {"architecture": self.architecture, **saved.with_prefix(self.unet.state_dict(), "unet")}
        return tensors | (saved.with_prefix(self.decoder.state_dict(), "decoder") if self.decoder else {})

    def load_weights(self, weights):
        self.architecture = weights["architecture"]
        described = saved.from_tensor(self.architecture)
        self.unet = saved.loaded(_network(described["unet"], "unet"), saved.of_prefix(weights, "unet"))
        self.decoder = None
        if described["decoder"]:
            network = _network(described["decoder"], "decoder")
            self.decoder = saved.loaded(network, saved.of_prefix(weights, "decoder"))
        self.scheduler = _scheduler(described["scheduler"])
        self.schedule = denoising.NoiseSchedule(self.scheduler.alphas_cumprod, self.scheduler.config.prediction_type)
        self.settings = self.settings | {"timesteps": len(self.schedule.alphas_cumprod)}

    def pipeline(self):
        """diffusers' own pipeline of these networks."""
        diffusers = _diffusers()
        if self.decoder is not None:
            pipeline = diffusers.LDMPipeline(vqvae=self.decoder, unet=self.unet, scheduler=self.scheduler)
        else:
            family = getattr(diffusers, saved.from_tensor(self.architecture)["pipeline"])
            pipeline = family(unet=self.unet, scheduler=self.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def latents(self, images_BC: torch.Tensor) -> torch.Tensor:
        """Images [B, 1, *grid] from -1 to 1, or their latents."""
        images_BC = 2 * images_BC - 1
        if self.decoder is None:
            return images_BC
        encoded = self.decoder.encode(images_BC)
        codes = saved.from_tensor(self.architecture)["decoder"]["_class_name"] == "VQModel"
        latent = encoded.latents if codes else encoded.latent_dist.mean
        return latent * self.decoder.config.scaling_factor

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The U-Net's output."""
        return self.unet(noisy, timesteps).sample


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> DiffusersPipeline:
    """A pipeline without networks, for images of shape `grid`; it has no upstream network."""
    return DiffusersPipeline(settings, grid)


@torch.no_grad()
def sample(module: DiffusersPipeline, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """What the pipeline itself draws; each batch has a generator of its own, on the CPU."""
    pipeline = module.pipeline()
    steps = {"num_inference_steps": sampling["steps"]} if sampling["steps"] else {}
    for start in range(first, n, sampling["batch_size"]):
        generator = torch.Generator().manual_seed(derive_seed(seed, "sample", start))
        size = min(sampling["batch_size"], n - start)
        drawn = pipeline(batch_size=size, generator=generator, output_type="np", **steps).images
        yield torch.from_numpy(drawn).movedim(-1, 1).float()


def losses_by_noise(
    module: DiffusersPipeline, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep] (see `copylens.generation.denoising`)."""
    return denoising.losses_by_noise(module, images_BC, timesteps, seed, module.settings["batch_size"])


def errors_by_noise(
    module: DiffusersPipeline, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure, [B, timestep] by name (see `copylens.generation.denoising`)."""
    return denoising.errors_by_noise(module, images_BC, timesteps, seed, module.settings["batch_size"])


def _read(name: str, key: str, grid: list[int]) -> dict[str, torch.Tensor]:
    """The networks in a folder below $COPYLENS_DATA, as the module's weights; ValueError for other folders."""
    folder = saved.folder_of(name, key)
    described = _described(folder)
    unet, decoder = described["unet"], described["decoder"]
    places = described.pop("places")
    makes = unet.get("sample_size")
    makes = [makes] * 2 if isinstance(makes, int) else makes
    if not isinstance(makes, list) or len(makes) != 2 or not all(isinstance(size, int) and size > 0 for size in makes):
        raise ValueError(f"{places['unet']}config.json: sample_size is {makes!r}; it must be the images' size")
    if decoder:
        makes = [size * 2 ** (len(decoder["block_out_channels"]) - 1) for size in makes]
    saved.refuse_another_grid(makes, grid, key)
    weights = {"architecture": saved.as_tensor(described)}
    for part in ("unet", "decoder") if decoder else ("unet",):
        network = _network(described[part], f"{places[part]}config.json")
        tensors = saved.read_tensors(folder, _weights_file(folder, places[part]), network)
        weights |= saved.with_prefix(tensors, part)
    return weights


def _described(folder: Path) -> dict:
    """The pipeline's class and its parts' settings, and where these parts lie; ValueError for conditional ones."""
    places = {"unet": "unet/", "scheduler": "scheduler/", "decoder": ""}
    pipeline = "DDPMPipeline"
    if (folder / "model_index.json").exists():
        index = saved.read_settings(folder, "model_index.json")
        pipeline = _named(index.get("_class_name"), PIPELINES, "model_index.json", "the pipeline")
        if pipeline == "LDMPipeline":
            places["decoder"] = "vqvae/" if "vqvae" in index else "vae/"
    elif not (folder / "unet").exists():
        places |= {"unet": "", "scheduler": ""}  # a network alone, and its scheduler beside it
    unet = saved.read_settings(folder, f"{places['unet']}config.json")
    _check_unet(unet, f"{places['unet']}config.json", latent=bool(places["decoder"]))
    scheduler_file = f"{places['scheduler']}scheduler_config.json"
    scheduler = saved.read_settings(folder, scheduler_file)
    allowed = SCHEDULERS + MORE_SCHEDULERS if places["decoder"] else SCHEDULERS
    _named(scheduler.get("_class_name"), allowed, scheduler_file, "the scheduler")
    _named(scheduler.get("prediction_type", "epsilon"), PREDICTIONS, scheduler_file, "prediction_type")
    saved.whole_number(scheduler, "num_train_timesteps", scheduler_file, least=2)
    decoder = None
    if places["decoder"]:
        name = f"{places['decoder']}config.json"
        decoder = saved.read_settings(folder, name)
        _named(decoder.get("_class_name"), AUTOENCODERS, name, "the autoencoder")
        saved.whole_number(decoder, "layers_per_block", name, most=saved.MOST_PARTS)
        _check_channels(decoder, name)
    return {"pipeline": pipeline, "unet": unet, "scheduler": scheduler, "decoder": decoder, "places": places}


def _check_unet(unet: dict, name: str, latent: bool) -> None:
    saved.whole_number(unet, "layers_per_block", name, most=saved.MOST_PARTS)
    if unet.get("_class_name") in ("UNet2DConditionModel", "Transformer2DModel", "DiTTransformer2DModel"):
        raise ValueError(
            f"{name}: {unet['_class_name']} draws images on a condition, such as a text; save an unconditional "
            "network, or give the condition in a program, with a model of kind command"
        )
    _named(unet.get("_class_name"), ("UNet2DModel",), name, "the network")
    if unet.get("class_embed_type") is not None or unet.get("num_class_embeds") is not None:
        raise ValueError(
            f"{name}: the network draws images of a class (num_class_embeds, class_embed_type); fix the class in a "
            "program, with a model of kind command"
        )
    if not latent:
        _check_channels(unet, name)


def _check_channels(settings: dict, name: str) -> None:
    for key in ("in_channels", "out_channels"):
        if settings.get(key) != 1:
            raise ValueError(f"{name}: {key} is {settings.get(key)!r}; generators of grey images have 1 channel")


def _named(value, allowed: tuple[str, ...], name: str, what: str) -> str:
    if value not in allowed:
        raise ValueError(f"{name}: {what} is {value!r}, which isn't known here; these are: {', '.join(allowed)}")
    return value


def _weights_file(folder: Path, place: str) -> str:
    if not (folder / place / WEIGHTS).exists():
        others = sorted(path.name for path in (folder / place).iterdir() if path.suffix in (".bin", ".pt", ".ckpt"))
        if others:
            raise ValueError(
                f"{place}{others[0]}: is a pickle, which can hold a program; save the pipeline with "
                "safe_serialization=True"
            )
    return f"{place}{WEIGHTS}"


def _network(settings: dict, name: str) -> torch.nn.Module:
    family = getattr(_diffusers(), settings["_class_name"])
    return saved.built(lambda: family.from_config(settings), name)


def _scheduler(settings: dict):
    try:
        scheduler = getattr(_diffusers(), settings["_class_name"]).from_config(settings)
        usable = bool(torch.isfinite(scheduler.alphas_cumprod).all())
    except Exception as error:  # diffusers' errors over wrong settings are of every kind
        raise ValueError("scheduler_config.json: no scheduler can be made of these settings") from error
    if not usable or not math.isfinite(float(scheduler.init_noise_sigma)):
        raise ValueError("scheduler_config.json: its noise schedule isn't finite")
    return scheduler


def _diffusers():
    """diffusers, which takes seconds to import, where it's installed."""
    try:
        import diffusers
    except ImportError as error:
        raise ValueError(INSTALL) from error
    return diffusers
