"""The scale of latents that a denoiser was trained with, where nobody wrote it down."""

import math

import torch

from copylens.generation.denoising import Denoises
from copylens.jobs.seeds import derive_seed

LEVELS = 32  # timesteps at which the loss is measured, evenly spread
IMAGES, FEW = 64, 16  # of which it is the mean, at first only of a few
WIDEST, N_COARSE = 1.6, 17  # range of the search about the usual scale, in natural logarithms, and its steps
UNCLEAR = (
    "models.scale_factor: can't be found, because no scale of the latents fits these images better than others; write "
    "the factor that its training printed"
)
AS_USUAL = 0.25  # difference from the usual scale, in logarithms, that the errors of a trained denoiser alone explain
FLAT = 0.1  # least curvature of the loss; a denoiser of normally distributed latents has 2


@torch.no_grad()
def fit_scale(network, images_BC: torch.Tensor, size: int) -> float:
    """The scale at which `network`, with its `autoencoder` and `schedule`, codes the latents of images in least space.

    The variational bound of a latent's code length, in nats a number: half the integral of the error of the predicted
    noise over the logarithm of the signal-to-noise ratio (Kingma et al. 2021, arXiv 2107.00630, equations 15 to 18)
    less the logarithm of the scale, because smaller numbers need less space. The denoising loss alone would choose 0.

    A network that trained for long on few patients puts the minimum up to an eighth beside the truth. So where it lies
    near the usual scale, 1 / the deviation of drawn latents (Rombach et al. 2022, arXiv 2112.10752, section G), that is
    returned.

    Raises ValueError where the bound has no clear minimum near it.
    """
    chunks = images_BC[:: -(-len(images_BC) // IMAGES)].split(size)
    coded = [network.autoencoder.encode(chunk.to(network.device)) for chunk in chunks]
    latents, deviations = (torch.cat(parts) for parts in zip(*coded, strict=True))
    usual = 1 / float((latents.var() + deviations.square().mean()).sqrt().clamp(min=1e-12))
    step = 2 * WIDEST / (N_COARSE - 1)
    logs = [math.log(usual) - WIDEST + step * number for number in range(N_COARSE)]
    bounds = [_bound(network, latents[:: -(-len(latents) // FEW)], math.exp(log), size) for log in logs]
    best = min(range(N_COARSE), key=bounds.__getitem__)
    if best in (0, N_COARSE - 1):
        raise ValueError(UNCLEAR)
    log = logs[best]
    for _ in range(2):  # a parabola through three points, twice, the second time through nearer ones
        left, middle, right = (_bound(network, latents, math.exp(log + shift), size) for shift in (-step, 0.0, step))
        curvature = (left - 2 * middle + right) / step**2
        if not curvature > FLAT:
            raise ValueError(UNCLEAR)
        log += min(step, max(-step, (left - right) / (2 * step * curvature)))
        step /= 2
    return usual if abs(log - math.log(usual)) < AS_USUAL else math.exp(log)


def _bound(network: Denoises, latents: torch.Tensor, scale: float, size: int) -> float:
    """The variational bound of the code length of `latents` at a scale, but for what no scale changes, per number."""
    kept = network.schedule.alphas_cumprod  # type: ignore[attr-defined]
    timesteps = torch.linspace(0, len(kept) - 1, LEVELS).round().long().unique()
    ratio = torch.log(kept[timesteps] / (1 - kept[timesteps])).double()
    generator = torch.Generator().manual_seed(derive_seed(0, "latent scale"))
    errors = torch.zeros(len(timesteps), dtype=torch.float64)
    for chunk in latents.split(size):
        noise = torch.randn(chunk.shape, generator=generator).to(chunk.device)
        for number, timestep in enumerate(timesteps.tolist()):
            steps = torch.full((len(chunk),), timestep, device=chunk.device)
            noisy, _ = network.noisy_and_target(scale * chunk, noise, steps)
            found = network.noise_of(network.predict(noisy, steps), noisy, timestep)
            errors[number] += float((found - noise).square().mean()) * len(chunk) / len(latents)
    prior = 0.5 * float(kept[-1]) * scale**2 * float(latents.square().mean())
    return float(0.5 * torch.trapezoid(errors.flip(0), ratio.flip(0))) + prior - math.log(scale)
