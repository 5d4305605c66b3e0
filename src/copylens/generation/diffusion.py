"""The noise schedule, the samplers and the moving average of networks that denoise latents."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import torch

from copylens.generation.avoidance import TooNear, guided, rejecting
from copylens.jobs.lean_monai import schedulers
from copylens.jobs.seeds import derive_seed
from copylens.training.module import LatentSpace

MOST_DRAWS = 50  # of a sample that is rejected again and again


class Denoiser(Protocol):
    """The interface that sampling needs of a network in the latent space of its autoencoder."""

    settings: dict  # timesteps, schedule, prediction
    scale_factor: torch.Tensor
    known: dict[str, torch.Tensor]

    @property
    def autoencoder(self) -> LatentSpace: ...

    @property
    def device(self) -> torch.device: ...


def scheduler_of(family, settings: dict):
    """One of MONAI's schedulers with a network's noise schedule."""
    betas = {}
    if settings["schedule"] != "cosine":
        betas = {"beta_start": settings["beta_start"], "beta_end": settings["beta_end"]}
    return family(
        num_train_timesteps=settings["timesteps"],
        schedule=settings["schedule"],
        prediction_type=settings["prediction"],
        # Latents aren't bounded by 1, so they mustn't be clipped there.
        clip_sample=False,
        **betas,
    )


def sample_with(predict, module: Denoiser, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """`sample` for any `predict(noisy latent, timesteps)` in the latent space of `module.autoencoder`.

    What is too near a training image, where the settings say so, is drawn anew (see `copylens.generation.avoidance`).
    """
    scheduler = scheduler_of(
        {"ddim": schedulers.DDIMScheduler, "ddpm": schedulers.DDPMScheduler}[sampling["sampler"]], module.settings
    )
    # DDPM visits every timestep; DDIM only sampling.steps of them (Song et al. 2021, arXiv 2010.02502).
    is_ddpm = sampling["sampler"] == "ddpm"
    scheduler.set_timesteps(module.settings["timesteps"] if is_ddpm else sampling["steps"])
    too_near = rejecting(module, sampling)
    predict = guided(predict, module, scheduler.alphas_cumprod, sampling)

    def draw(wanted: int, generator: torch.Generator) -> torch.Tensor:
        # The chain lives on the CPU, where its noise is drawn: the same on every device.
        latent = torch.randn((wanted, *module.autoencoder.latent_shape), generator=generator)
        for timestep in scheduler.timesteps:
            steps = torch.full((len(latent),), int(timestep), device=module.device)
            prediction = predict(latent.to(module.device), steps).cpu()
            if is_ddpm:
                latent, _ = scheduler.step(prediction, timestep, latent, generator=generator)
            else:
                latent, _ = scheduler.step(prediction, timestep, latent)
        return module.autoencoder.decode(latent.to(module.device) / module.scale_factor).cpu()

    for start in range(first, n, sampling["batch_size"]):
        generator = torch.Generator().manual_seed(derive_seed(seed, "sample", start))
        again = partial(draw, generator=generator)
        images = again(min(sampling["batch_size"], n - start))
        yield _redrawn(images, too_near, again)


def _redrawn(images: torch.Tensor, too_near: TooNear | None, draw: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """The images [B, 1, *grid], those that are too near a training image drawn anew until none is."""
    if too_near is None:
        return images
    for _ in range(MOST_DRAWS):
        near = too_near.similarity(images) > too_near.limit
        if not near.any():
            return images
        print(f"{int(near.sum())} of {len(images)} samples are too near a training image and drawn anew", flush=True)
        images[near] = draw(int(near.sum()))
    raise ValueError(
        f"sampling.reject: after {MOST_DRAWS} draws some samples are still nearer to training images than its "
        "percentile allows; raise it, or take a network that was trained for less long"
    )


def denoise_partly(
    predict, module: Denoiser, images_BC: torch.Tensor, strength: float, seed: int, steps: int = 50
) -> torch.Tensor:
    """Images whose latents were noised up to a share `strength` of the noise levels and denoised again, by DDIM.

    predict, module: as in `sample_with`. The result is the network's version of the same image (Meng et al. 2022,
    arXiv 2108.01073).
    """
    scheduler = scheduler_of(schedulers.DDIMScheduler, module.settings)
    scheduler.set_timesteps(min(steps, module.settings["timesteps"]))
    begin = max(1, round(strength * module.settings["timesteps"])) - 1
    generator = torch.Generator().manual_seed(derive_seed(seed, "round trip"))
    images = []
    for chunk in images_BC.split(module.settings["training"]["batch_size"]):
        latent = (module.autoencoder.encode(chunk.to(module.device))[0] * module.scale_factor).cpu()
        noise = torch.randn(latent.shape, generator=generator)
        latent = scheduler.add_noise(latent, noise, torch.full((len(latent),), begin))
        for timestep in scheduler.timesteps[scheduler.timesteps <= begin]:
            levels = torch.full((len(latent),), int(timestep), device=module.device)
            latent, _ = scheduler.step(predict(latent.to(module.device), levels).cpu(), timestep, latent)
        images.append(module.autoencoder.decode(latent.to(module.device) / module.scale_factor).cpu())
    return torch.cat(images)


def averaging(decay: float):
    """EMA with a warm-up, min(decay, (1 + n) / (10 + n)), so that early weights don't dominate a short training."""

    @torch.no_grad()
    def update(averaged, current, n_averaged) -> None:
        weight = 1 - min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        torch._foreach_lerp_(averaged, current, weight)

    return update
