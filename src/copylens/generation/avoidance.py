"""Sampling away from the training images: guidance, and rejection. Both need them at hand, and calibration images.

A limit says how alike is too alike: a percentile of the correlations of the calibration images V with their nearest
training images T.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from copylens.generation.denoising import noise_in, prediction_of
from copylens.imaging.correlation import standardise

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class TooNear:
    """T as rows of unit length, and the largest correlation with one of them that isn't too alike.

    training, calibration: images or latents [n, ...]. `centred`: less their mean, so that what all share counts for
    nothing.
    """

    def __init__(self, training: torch.Tensor, calibration: torch.Tensor, percentile: float, centred: bool = False):
        self.mean = training.mean(dim=0) if centred else torch.zeros_like(training[0])
        self.rows = standardise((training - self.mean).flatten(1))
        self.limit = float(torch.quantile(self.similarity(calibration), percentile / 100))

    def similarity(self, images: torch.Tensor) -> torch.Tensor:
        """The correlation of each of images [B, ...] with its nearest training image, [B]."""
        mean, rows = self.mean.to(images.device), self.rows.to(images.device)
        return (standardise((images - mean).flatten(1)) @ rows.T).amax(dim=1)


def known(module, key: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of T and V that a module was shown; ValueError naming the setting that needs them."""
    if not {"train", "calibration"} <= module.known.keys() or not len(module.known["calibration"]):
        raise ValueError(f"sampling.{key}: needs the training images and calibration images at hand")
    return module.known["train"], module.known["calibration"]


def rejecting(module, sampling: dict) -> TooNear | None:
    """What says which samples are too near, if the settings ask for it."""
    if sampling.get("reject") is None:
        return None
    return TooNear(*known(module, "reject"), sampling["reject"]["percentile"])


@torch.no_grad()
def guided(predict: Predict, module, alphas_cumprod: torch.Tensor, sampling: dict) -> Predict:
    """`predict`, led away from the nearest training latent wherever what it would draw is too near one.

    Dissimilarity guidance (Chen et al. 2024, arXiv 2404.00922, section 4): the noise gets a part along the gradient of
    the similarity that the clean latent, as the network sees it, has with its nearest training latent. Other than there
    similarity is a correlation of centred latents, the limit comes from V, and the part's length is `scale` times the
    noise's own times how far it is beyond the limit, 1 for a copy.
    """
    settings = sampling.get("guidance")
    if settings is None:
        return predict
    images = known(module, "guidance")
    size = sampling["batch_size"]
    training, calibration = (
        torch.cat([module.autoencoder.encode(chunk.to(module.device))[0] for chunk in part.split(size)])
        * module.scale_factor
        for part in images
    )
    near = TooNear(training, calibration, settings["percentile"], centred=True)
    kind = module.settings["prediction"]

    def away(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas_cumprod.to(noisy.device)[timesteps].view(-1, *[1] * (noisy.ndim - 1))
        with torch.enable_grad():
            noisy = noisy.detach().requires_grad_()
            noise = noise_in(predict(noisy, timesteps), noisy, kept, kind)
            beyond = near.similarity((noisy - (1 - kept).sqrt() * noise) / kept.sqrt()) - near.limit
            (gradient,) = torch.autograd.grad(beyond.clamp(min=0).sum(), noisy)
        length = settings["scale"] * (beyond / (1 - near.limit)).clamp(min=0) * noise.flatten(1).norm(dim=1)
        direction = functional.normalize(gradient.flatten(1)).view_as(noise)
        noise = noise + length.view(kept.shape) * direction
        return prediction_of(noise.detach(), noisy.detach(), kept, kind)

    return away
