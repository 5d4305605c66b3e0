"""Generative adversarial network, 2D and 3D.

Relativistic loss with R1 and R2 gradient penalties (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv
2501.05441), which converges without batch statistics or tricks of architecture; samples are drawn with the generator's
moving average. Differentiable augmentation of the discriminator's input (Zhao et al. 2020, arXiv 2006.10738) is off by
default.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from copylens.config.grids import halve
from copylens.imaging.augment import flip_and_rotate
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
required: [channels, training, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  augment: {$ref: "#/$defs/augment", default: null}
  channels: {$ref: "#/$defs/widths"}
  latent_size: {$ref: "#/$defs/count", default: 64}
  res_blocks: {$ref: "#/$defs/count", default: 1}
  # Weight of the R1 and R2 penalties; too large, and the discriminator sees no difference.
  gradient_penalty: {$ref: "#/$defs/weight", default: 0.02}
  # Differentiable augmentation: the probability that the discriminator's input is flipped, and turned.
  augment_probability: {$ref: "#/$defs/share", default: 0.0}
  ema_decay: {type: number, minimum: 0, exclusiveMaximum: 1, default: 0.999}
  training: {$ref: "#/$defs/training"}
  sampling: {$ref: "#/$defs/sampling"}
"""

SLOPE = 0.2  # of the leaky ReLU


class Block(nn.Module):
    """Two convolutions beside the identity, scaled so that the block begins as the identity (Fixup)."""

    def __init__(self, dims: int, width: int):
        super().__init__()
        convolution = (nn.Conv2d, nn.Conv3d)[dims - 2]
        self.first, self.second = (convolution(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.second.weight)

    def forward(self, x):
        inner = functional.leaky_relu(self.first(functional.leaky_relu(x, SLOPE)), SLOPE)
        return x + self.second(inner)


class Generator(nn.Module):
    """Noise [B, latent_size] to images [B, 1, *grid]: each level doubles the image; `channels` from fine to coarse."""

    def __init__(self, latent_size: int, channels: list[int], grid: list[int], blocks: int):
        super().__init__()
        dims = len(grid)
        convolution = (nn.Conv2d, nn.Conv3d)[dims - 2]
        self.smallest = halve(grid, len(channels) - 1, "grid")
        self.start = nn.Linear(latent_size, channels[-1] * torch.Size(self.smallest).numel())
        levels: list[nn.Module] = []
        for level, (width, wider) in enumerate(zip(channels[::-1], [channels[-1], *channels[:0:-1]], strict=True)):
            if level:
                levels += [nn.Upsample(scale_factor=2, mode=("bilinear", "trilinear")[dims - 2])]
            levels += [convolution(wider, width, 1)] if wider != width else []
            levels += [Block(dims, width) for _ in range(blocks)]
        self.levels = nn.Sequential(*levels)
        self.end = convolution(channels[0], 1, 3, padding=1)

    def forward(self, noise):
        x = self.start(noise)
        x = x.unflatten(1, (-1, *self.smallest))
        return torch.sigmoid(self.end(functional.leaky_relu(self.levels(x), SLOPE)))


class Discriminator(nn.Module):
    """Images [B, 1, *grid] to one score each, the generator's mirror image."""

    def __init__(self, channels: list[int], grid: list[int], blocks: int):
        super().__init__()
        dims = len(grid)
        convolution, pool = ((nn.Conv2d, nn.AvgPool2d), (nn.Conv3d, nn.AvgPool3d))[dims - 2]
        levels: list[nn.Module] = [convolution(1, channels[0], 3, padding=1)]
        for level, width in enumerate(channels):
            levels += [Block(dims, width) for _ in range(blocks)]
            if level + 1 < len(channels):
                levels += [pool(2)]
                levels += [convolution(width, channels[level + 1], 1)] if channels[level + 1] != width else []
        smallest = halve(grid, len(channels) - 1, "grid")
        self.levels = nn.Sequential(*levels, nn.LeakyReLU(SLOPE), nn.Flatten())
        self.end = nn.Linear(channels[-1] * torch.Size(smallest).numel(), 1)

    def forward(self, image):
        return self.end(self.levels(image))[:, 0]


class GAN(TrainedModule):
    """Generator, discriminator and the generator's moving average. Images are [B, 1, *grid] in [0, 1]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        sizes = settings["channels"], grid, settings["res_blocks"]
        self.generator = Generator(settings["latent_size"], *sizes)
        self.discriminator = Discriminator(*sizes)
        self.average = AveragedModel(self.generator, multi_avg_fn=get_ema_multi_avg_fn(settings["ema_decay"]))

    def configure_optimizers(self):
        # Adam without momentum, as in the paper.
        of_generator = self.adamw(self.generator.parameters(), betas=(0.0, 0.99))
        of_discriminator = self.adamw(self.discriminator.parameters(), betas=(0.0, 0.99))
        return of_generator[0] + of_discriminator[0], of_generator[1] + of_discriminator[1]

    def training_step(self, batch, step, descend):
        real = self.augmented(batch[0])
        noise = torch.randn(len(real), self.settings["latent_size"], device=real.device)
        real, fake = self._shown(real).requires_grad_(True), self._shown(self.generator(noise))
        seen = fake.detach().requires_grad_(True)
        score_real, score_fake = self.discriminator(real), self.discriminator(seen)
        # Huang et al. 2024, equations 2 and 4.
        of_discriminator = functional.softplus(score_fake - score_real).mean()
        penalty = self._penalty(score_real, real) + self._penalty(score_fake, seen)
        descend(of_discriminator + self.settings["gradient_penalty"] / 2 * penalty, which=1)
        of_generator = functional.softplus(self.discriminator(real.detach()) - self.discriminator(fake)).mean()
        descend(of_generator)
        self.average.update_parameters(self.generator)
        return {"generator": of_generator, "discriminator": of_discriminator, "penalty": penalty}

    def _shown(self, images):
        """The discriminator's input: images, flipped and turned under differentiable augmentation."""
        probability = self.settings["augment_probability"]
        return flip_and_rotate(images, probability, probability, 10.0) if probability else images

    def _penalty(self, score, image):
        """Squared gradient norm of the score (Mescheder et al. 2018, arXiv 1801.04406, equation 9)."""
        (gradient,) = torch.autograd.grad(score.sum(), image, create_graph=True)
        return (gradient**2).flatten(1).sum(1).mean()

    def weights(self):
        return self.average.module.state_dict()

    def load_weights(self, weights):
        self.average.module.load_state_dict(weights)


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> GAN:
    """Untrained networks for images of shape `grid`; there is no upstream network."""
    return GAN(settings, grid)


@torch.no_grad()
def sample(module: GAN, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """Images of the averaged generator from standard normal noise."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    noise = torch.randn(n, module.settings["latent_size"], generator=generator)
    for chunk in noise[first:].split(sampling["batch_size"]):
        yield module.average.module(chunk.to(module.device)).cpu()
