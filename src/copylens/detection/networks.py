"""Embedding networks that learn from augmented views of images, shared by the trained detectors."""

import math

import torch

from copylens.imaging.augment import flip_and_rotate
from copylens.jobs.lean_monai import nets
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SMALLEST_3D = 4  # voxels to which the 3D encoder halves each axis at most: 4x4x4 from a power of two


class EmbeddingNetwork(TrainedModule):
    """A ResNet in 2D, in 3D a strided encoder down to 4x4x4. Images are [B, 1, *grid] in [0, 1].

    Subclasses write `pair_loss`.
    """

    compilable = ("network",)

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.network = _resnet(settings) if len(grid) == 2 else _encoder(settings, grid)

    def configure_optimizers(self):
        return self.adamw(self.network.parameters())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, d]."""
        return self.network(image)

    def pair_loss(self, image: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """The loss of a batch, whose views are drawn by the generator."""
        raise NotImplementedError

    def view(self, image: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """A flipped and turned copy of each image."""
        settings = self.settings
        return flip_and_rotate(
            image,
            settings["flip_probability"],
            settings["rotation_probability"],
            settings["rotation_degrees"],
            generator,
        )

    def training_step(self, batch, step, descend):
        loss = self.pair_loss(batch[0], None)
        descend(loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_index):
        # The same views at every validation, so that losses differ by the network alone.
        generator = torch.Generator().manual_seed(derive_seed(self.settings["seed"], "validation", batch_index))
        return self.pair_loss(batch[0], generator)

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)


@torch.no_grad()
def embed(module: EmbeddingNetwork, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    size = module.settings["training"]["batch_size"]
    return torch.cat([module(chunk.to(module.device)).cpu() for chunk in images_BC.split(size)])


def _resnet(settings: dict) -> nets.ResNet:
    return nets.ResNet(
        "basic",
        settings["blocks_2d"],
        settings["channels_2d"],
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_stride=2,
        num_classes=settings["embedding_2d"],
    )


def _encoder(settings: dict, grid: list[int]) -> nets.Regressor:
    """Each level halves the axes that are still long enough; the last width repeats for further levels."""
    widths = settings["channels_3d"]
    halvings = [max(0, int(math.log2(size / SMALLEST_3D))) for size in grid]
    levels = max(1, *halvings)
    # A stride per axis: MONAI accepts one, although its type hint doesn't.
    strides: list = [tuple(1 + (level < times) for times in halvings) for level in range(levels)]
    return nets.Regressor(
        in_shape=(1, *grid),
        out_shape=(settings["embedding_3d"],),
        channels=[widths[min(level, len(widths) - 1)] for level in range(levels)],
        strides=strides,
        num_res_units=1,
        norm="BATCH",
    )
