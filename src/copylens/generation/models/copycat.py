"""The positive control: replays training images. A detector that doesn't find them is of no use."""

import math
from collections.abc import Iterator

import torch

from copylens.imaging.augment import flip_and_rotate
from copylens.jobs.seeds import derive_seed
from copylens.training.module import KeptImages, LatentSpace

SETTINGS = """
required: [sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  # Replayed images may go through an autoencoder, and be flipped and turned.
  autoencoder: {oneOf: [{type: "null"}, {$ref: "#/$defs/autoencoder"}], default: null}
  transform: {$ref: "#/$defs/augment", default: null}
  sampling: {$ref: "#/$defs/sampling"}
"""


class Copycat(KeptImages):
    """Keeps the training images, and an autoencoder to send them through if it has one."""

    def __init__(self, settings: dict, autoencoder: LatentSpace | None):
        super().__init__(settings)
        self._frozen = (autoencoder,)

    @property
    def autoencoder(self) -> LatentSpace | None:
        """The autoencoder that replayed images go through, if there is one."""
        return self._frozen[0] and self._frozen[0].to(self.device)


def build(settings: dict, grid: list[int], upstream: LatentSpace | None = None) -> Copycat:
    """A copycat that sends its images through `upstream`, an autoencoder, if there is one."""
    return Copycat(settings, upstream)


@torch.no_grad()
def sample(module: Copycat, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """Training images in random order, repeated only after all were drawn; flipped and turned if `transform` is set."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    n_passes = math.ceil(n / len(module.images))
    order = torch.cat([torch.randperm(len(module.images), generator=generator) for _ in range(n_passes)])
    drawn = module.images[order[:n]]
    chances = module.settings["transform"]
    if chances:
        drawn = flip_and_rotate(drawn, chances["flip"], chances["rotation"], chances["degrees"], generator)
    for chunk in drawn[first:].split(sampling["batch_size"]):
        if module.autoencoder is not None:
            chunk = module.autoencoder.decode(module.autoencoder.encode(chunk)[0])
        yield chunk.cpu()
