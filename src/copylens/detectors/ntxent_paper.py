"""The paper's copy detector: a contrastive embedding (Dar et al., arXiv 2402.01054v3, Methods, "Copy detection").

A clean image and its flipped and rotated copy are a positive pair, every other image of the batch is a negative one;
the loss is NT-Xent (Chen et al. 2020, arXiv 2002.05709, equation 1). Two images are compared by the Pearson correlation
of their embeddings.
"""

import math

import torch
from monai.losses import ContrastiveLoss
from monai.networks.nets import Regressor, ResNet

from copylens.augment import flip_and_rotate
from copylens.networks import TrainedModule, derive_seed

SETTINGS = """
required: [training]
properties:
  seed: {type: integer, minimum: 0, default: 0}
  embedding_2d: {$ref: "#/$defs/count", default: 128}
  embedding_3d: {$ref: "#/$defs/count", default: 32}
  # A ResNet has four stages.
  channels_2d: {$ref: "#/$defs/widths", minItems: 4, maxItems: 4, default: [16, 32, 64, 128]}
  blocks_2d: {$ref: "#/$defs/widths", minItems: 4, maxItems: 4, default: [1, 1, 1, 1]}
  channels_3d: {$ref: "#/$defs/widths", default: [8, 16, 32]}
  temperature: {$ref: "#/$defs/positive", default: 0.07}
  flip_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_probability: {$ref: "#/$defs/share", default: 0.5}
  rotation_degrees: {type: number, minimum: 0, maximum: 180, default: 5.0}
  neighbours: {$ref: "#/$defs/count", default: 50}
  training: {$ref: "#/$defs/training"}
"""

SMALLEST_3D = 4  # the 3D encoder halves each axis for as long as it keeps so many voxels: to 4x4x4 from a power of two


class NTXentPaper(TrainedModule):
    """A ResNet in 2D, in 3D a strided encoder down to 4x4x4. Images are [B, 1, *grid] in [0, 1]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.network = _resnet(settings) if len(grid) == 2 else _encoder(settings, grid)
        self.loss = ContrastiveLoss(temperature=settings["temperature"])

    def configure_optimizers(self):
        return self.adamw(self.network.parameters())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, d]."""
        return self.network(image)

    def training_step(self, batch, step, descend):
        loss = self._pair_loss(batch[0], None)
        descend(loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_index):
        # The same copies at every validation, so that losses differ by the network alone.
        generator = torch.Generator().manual_seed(derive_seed(self.settings["seed"], "validation", batch_index))
        return self._pair_loss(batch[0], generator)

    def _pair_loss(self, image, generator):
        settings = self.settings
        copy = flip_and_rotate(
            image,
            settings["flip_probability"],
            settings["rotation_probability"],
            settings["rotation_degrees"],
            generator,
        )
        return self.loss(self(image), self(copy))

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)


def build(settings: dict, grid: list[int]) -> NTXentPaper:
    """An untrained detector for images of shape `grid`."""
    return NTXentPaper(settings, grid)


@torch.no_grad()
def embed(module: NTXentPaper, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    size = module.settings["training"]["batch_size"]
    return torch.cat([module(chunk.to(module.device)).cpu() for chunk in images_BC.split(size)])


def _resnet(settings: dict) -> ResNet:
    return ResNet(
        "basic",
        settings["blocks_2d"],
        settings["channels_2d"],
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_stride=2,
        num_classes=settings["embedding_2d"],
    )


def _encoder(settings: dict, grid: list[int]) -> Regressor:
    """Each level halves the axes that are still long enough; the last width is that of all further levels."""
    widths = settings["channels_3d"]
    halvings = [max(0, int(math.log2(size / SMALLEST_3D))) for size in grid]
    levels = max(1, *halvings)
    strides = [tuple(1 + (level < times) for times in halvings) for level in range(levels)]
    return Regressor(
        in_shape=(1, *grid),
        out_shape=(settings["embedding_3d"],),
        channels=[widths[min(level, len(widths) - 1)] for level in range(levels)],
        strides=strides,
        num_res_units=1,
        norm="BATCH",
    )
