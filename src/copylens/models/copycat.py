"""The guilty control: replays training images. A detector that doesn't find it guilty is of no use."""

import torch

from copylens.augment import flip_and_rotate
from copylens.training import TrainedModule, derive_seed


class Copycat(TrainedModule):
    """Keeps the images that it is shown, [scan, 1, *grid]; nothing is trained."""

    def __init__(self, settings: dict, autoencoder: TrainedModule | None):
        super().__init__(settings)
        self._frozen = (autoencoder,)
        self.register_buffer("images", torch.empty(0))

    def prepare(self, images_BC):
        self.images = images_BC
        return (images_BC,)

    @property
    def autoencoder(self) -> TrainedModule | None:
        return self._frozen[0] and self._frozen[0].to(self.device)

    def weights(self):
        return {"images": self.images}

    def load_weights(self, weights):
        self.images = weights["images"]


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> Copycat:
    """A copycat that sends what it replays through `upstream`, an autoencoder, if there is one."""
    return Copycat(settings, upstream)


@torch.no_grad()
def sample(module: Copycat, n: int, seed: int, sampling: dict) -> torch.Tensor:
    """`n` training images [n, 1, *grid], drawn with replacement, flipped and turned if the settings say so."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    drawn = module.images[torch.randint(len(module.images), (n,), generator=generator)]
    chances = module.settings["transform"]
    if chances:
        drawn = flip_and_rotate(drawn, chances["flip"], chances["rotation"], chances["degrees"], generator)
    if module.autoencoder is None:
        return drawn.cpu()
    chunks = drawn.split(sampling["batch_size"])
    return torch.cat([module.autoencoder.decode(module.autoencoder.encode(chunk)[0]).cpu() for chunk in chunks])
