"""How well a network denoises each image: its losses, and what attacks on membership measure. Draws nothing."""

from typing import Protocol

import torch

from copylens.jobs.seeds import derive_seed

NOISES = 4  # that an attack on membership adds to each image at each level
MIDDLE = 1 / 8, 3 / 8  # spatial frequencies, in cycles a pixel


class Denoises(Protocol):
    """The interface of a network to these measurements."""

    @property
    def device(self) -> torch.device: ...

    def latents(self, images_BC: torch.Tensor) -> torch.Tensor:
        """What it denoises, of images [B, 1, *grid] in [0, 1]."""

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The network's output for noisy latents at timesteps [B]."""

    def noisy_and_target(self, latent: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> tuple:
        """Its input, and what it should predict."""

    def noise_of(self, prediction: torch.Tensor, noisy: torch.Tensor, timestep: int) -> torch.Tensor:
        """The noise in `noisy` by its prediction."""


class NoiseSchedule:
    """The share of the signal that is left at each timestep, squared, [timestep], and what a network predicts.

    prediction: epsilon (Ho et al. 2020, arXiv 2006.11239), v_prediction (Salimans and Ho 2022, arXiv 2202.00512) or
    sample.
    """

    def __init__(self, alphas_cumprod: torch.Tensor, prediction: str):
        self.alphas_cumprod, self.prediction = alphas_cumprod.float(), prediction

    def noisy_and_target(self, latent, noise, timesteps) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and target of the network at timesteps [B]."""
        kept = self.alphas_cumprod.to(latent.device)[timesteps].view(-1, *[1] * (latent.ndim - 1))
        noisy = kept.sqrt() * latent + (1 - kept).sqrt() * noise
        if self.prediction == "sample":
            return noisy, latent
        return noisy, noise if self.prediction == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * latent

    def noise_of(self, prediction, noisy, timestep: int) -> torch.Tensor:
        """The noise in `noisy` by the network's prediction at a timestep."""
        return noise_in(prediction, noisy, self.alphas_cumprod[timestep].to(noisy.device), self.prediction)


def noise_in(prediction: torch.Tensor, noisy: torch.Tensor, kept: torch.Tensor, kind: str) -> torch.Tensor:
    """The noise in `noisy` by a prediction of some kind, where a share sqrt(kept) of the signal is left."""
    if kind == "epsilon":
        return prediction
    if kind == "sample":
        return (noisy - kept.sqrt() * prediction) / (1 - kept).sqrt()
    return kept.sqrt() * prediction + (1 - kept).sqrt() * noisy


def prediction_of(noise: torch.Tensor, noisy: torch.Tensor, kept: torch.Tensor, kind: str) -> torch.Tensor:
    """The inverse of `noise_in`."""
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()
    return (noise - (1 - kept).sqrt() * noisy) / kept.sqrt()


@torch.no_grad()
def losses_by_noise(
    network: Denoises, images_BC: torch.Tensor, timesteps: list[int], seed: int, size: int
) -> torch.Tensor:
    """The denoising loss of each image at each of `timesteps`, [B, timestep], on the CPU; the same noise every time.

    size: images at a time.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "denoising"))
    rows = []
    for chunk in images_BC.split(size):
        latent = network.latents(chunk.to(network.device))
        noise = torch.randn(latent.shape, generator=generator).to(network.device)
        errors = []
        for timestep in timesteps:
            steps = torch.full((len(latent),), timestep, device=network.device)
            noisy, target = network.noisy_and_target(latent, noise, steps)
            errors.append((network.predict(noisy, steps) - target).square().flatten(1).mean(1))
        rows.append(torch.stack(errors, dim=1).cpu())
    return torch.cat(rows)


@torch.no_grad()
def errors_by_noise(
    network: Denoises, images_BC: torch.Tensor, timesteps: list[int], seed: int, size: int
) -> dict[str, torch.Tensor]:
    """What attacks on membership measure of each image at each of `timesteps`, [B, timestep], on the CPU.

    loss: the denoising loss, the mean of `NOISES` noises; middle: the same in the middle spatial frequencies of the
    latent (Zhao et al. 2025, arXiv 2506.14919); norm: the mean square of the noise that is predicted for the latent
    itself, to which none was added (Rao et al. 2025, arXiv 2509.25003). size: images at a time.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "denoising"))
    rows: dict[str, list[torch.Tensor]] = {"loss": [], "middle": [], "norm": []}
    for chunk in images_BC.split(size):
        latent = network.latents(chunk.to(network.device))
        axes = tuple(range(2, latent.ndim))
        frequencies = torch.meshgrid(*[torch.fft.fftfreq(latent.shape[axis]) for axis in axes], indexing="ij")
        radius = torch.stack(frequencies).norm(dim=0).to(network.device)
        middle = (radius > MIDDLE[0]) & (radius <= MIDDLE[1])
        noises = [torch.randn(latent.shape, generator=generator).to(network.device) for _ in range(NOISES)]
        found: dict[str, list[torch.Tensor]] = {name: [] for name in rows}
        for timestep in timesteps:
            steps = torch.full((len(latent),), timestep, device=network.device)
            errors = []
            for noise in noises:
                noisy, target = network.noisy_and_target(latent, noise, steps)
                errors.append(network.predict(noisy, steps) - target)
            spectra = [torch.fft.fftn(error, dim=axes).abs() ** 2 * middle for error in errors]
            found["loss"].append(torch.stack([error.square().flatten(1).mean(1) for error in errors]).mean(0))
            found["middle"].append(torch.stack([spectrum.flatten(1).mean(1) for spectrum in spectra]).mean(0))
            predicted = network.noise_of(network.predict(latent, steps), latent, timestep)
            found["norm"].append(predicted.square().flatten(1).mean(1))
        for name, values in found.items():
            rows[name].append(torch.stack(values, dim=1).cpu())
    return {name: torch.cat(parts) for name, parts in rows.items()}
