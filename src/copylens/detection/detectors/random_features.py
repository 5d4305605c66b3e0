"""An embedding without training: a residual network with random weights, 2D and 3D.

As a detector it is the untrained baseline; as a feature space for image quality it favours no generator.
"""

import torch

from copylens.detection.planes import features_by_plane
from copylens.jobs.lean_monai import nets
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
properties:
  seed: {type: integer, minimum: 0, default: 0}
  channels: {$ref: "#/$defs/widths", minItems: 4, maxItems: 4, default: [16, 32, 64, 128]}
  features: {$ref: "#/$defs/count", default: 64}
  # Of volumes: a 2D network, and three slices across each axis (`copylens.detection.planes`); three times the features.
  planes: {type: boolean, default: false}
  neighbours: {$ref: "#/$defs/count", default: 50}
  search: {$ref: "#/$defs/search", default: {}}
  # How many images are embedded at a time.
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


class RandomFeatures(TrainedModule):
    """Images [B, 1, *grid] in [0, 1] to embeddings [B, features]; the weights depend on the seed alone.

    By planes, volumes to embeddings [B, 3 features].
    """

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(settings["seed"], "initial weights"))
            self.network = nets.ResNet(
                "basic",
                [1, 1, 1, 1],
                settings["channels"],
                spatial_dims=2 if settings["planes"] else len(grid),
                n_input_channels=1,
                conv1_t_size=3,
                conv1_t_stride=1,
                no_max_pool=True,
                num_classes=settings["features"],
            )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return features_by_plane(self.network, image) if self.settings["planes"] else self.network(image)

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)


def build(settings: dict, grid: list[int]) -> RandomFeatures:
    """A network for images of shape `grid`; there is nothing to train."""
    return RandomFeatures(settings, grid)


@torch.no_grad()
def embed(module: RandomFeatures, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, features], on the CPU."""
    size = module.settings["batch_size"]
    return torch.cat([module(chunk.to(module.device)).cpu() for chunk in images_BC.split(size)])
