"""Training on noisy images at high noise levels, so that there a network never sees its training images.

Below a noise level t_n a network learns as usual. Above it, it's given each image only with one fixed noise of that
level, to which fresh noise is added, and its loss is what the added noise alone tells: ambient diffusion (Daras et al.
2024, arXiv 2404.10177; against memorization Shah et al. 2025, arXiv 2502.21278). What a sample shows as a whole is
decided at high noise levels.
"""

import torch


class Ambient:
    """The noisy inputs and the losses above `share` of the timesteps of a schedule.

    alphas_cumprod: the share of the signal that is left at each timestep, squared, [timestep].
    """

    def __init__(self, alphas_cumprod: torch.Tensor, share: float):
        self.alphas_cumprod = alphas_cumprod
        self.least = min(round(share * len(alphas_cumprod)), len(alphas_cumprod) - 1)  # the timestep t_n
        self.variance = float(1 / alphas_cumprod[self.least] - 1)  # of the fixed noise, relative to the image

    def applies(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Whether timesteps [B] lie above t_n, bool [B]."""
        return timesteps > self.least

    def noisy(
        self, latent: torch.Tensor, fixed: torch.Tensor, added: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Latents [B, *latent_shape] with their fixed noise, and with noise `added` up to timesteps [B] above t_n."""
        kept = self._kept(latent, timesteps)
        fresh = ((1 - kept) - kept * self.variance).clamp(min=0).sqrt()
        return kept.sqrt() * (latent + self.variance**0.5 * fixed) + fresh * added

    def losses(
        self, noise: torch.Tensor, added: torch.Tensor, timesteps: torch.Tensor, prediction: str
    ) -> torch.Tensor:
        """The loss of each image [B], where a network found the noise `noise` in what `noisy` returned.

        Of all noise a share k^2 = 1 - sigma_n^2 / sigma^2 was added, so that k times the noise found is its estimate of
        the noise added. Weighted as the loss of that prediction is (epsilon or v_prediction).
        """
        kept = self._kept(noise, timesteps)
        added_share = (1 - self.variance * kept / (1 - kept)).clamp(min=0).sqrt()
        error = (added_share * noise - added).square()
        if prediction == "v_prediction":
            error = error * added_share**2 / kept
        return error.flatten(1).mean(1)

    def _kept(self, latent: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return self.alphas_cumprod.to(latent.device)[timesteps].view(-1, *[1] * (latent.ndim - 1))
