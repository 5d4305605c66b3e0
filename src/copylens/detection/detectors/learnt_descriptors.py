"""Local descriptors that a network learns from the training images alone; each place of a query votes for its source.

The network (`copylens.detection.descriptors`) learns which places of strongly changed views correspond to which places
of the training images. A query is looked at in the few poses in which it fits the training images best
(`copylens.imaging.poses`). In each of them its descriptors are matched with those of all training images near the same
place, and each place gives every training image its probability of being the source
(`copylens.detection.votes`). Whatever spoils a query, such as noise, spoils its votes for all training images alike.

A query that lies unlike the training images has more poses, and so larger votes by chance. Its similarity is how far
the votes lie above those that training images get from others, as they lie or laid anew, in standard deviations.

Patients aren't known where it is trained: all other images of a batch count as different.
"""

import functools

import numpy as np
import torch

from copylens.detection.descriptors import STRIDES, DescriptorNetwork, correspondence_loss, has_structure
from copylens.detection.detectors.copylens import lay
from copylens.detection.maps import WIDE, maps_of
from copylens.detection.votes import SHARES, keys_of, vote
from copylens.imaging.filters import halve, no_larger, resize
from copylens.imaging.poses import FEW, MEMBERS, Population, laid_anew
from copylens.imaging.views import draw_views
from copylens.imaging.warps import warp
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

__all__ = ["build", "compare", "embed", "fit", "lay"]

SETTINGS = """
required: [training]
properties:
  seed: {type: integer, minimum: 0, default: 0}
  # Images are compared with at most this many pixels along the longest side.
  size_2d: {type: integer, minimum: 16, default: 64}
  size_3d: {type: integer, minimum: 16, default: 32}
  # Channels at half the resolution, then in 2D at a quarter.
  channels_2d: {$ref: "#/$defs/widths", minItems: 2, maxItems: 2, default: [24, 48]}
  channels_3d: {$ref: "#/$defs/widths", minItems: 2, maxItems: 2, default: [12, 24]}
  # Length of a descriptor.
  descriptor_2d: {$ref: "#/$defs/count", default: 48}
  descriptor_3d: {$ref: "#/$defs/count", default: 16}
  temperature: {$ref: "#/$defs/positive", default: 0.07}
  # Number of poses besides the image's own.
  poses: {type: integer, minimum: 0, default: 6}
  # Number of training images from which the null distribution is learnt.
  examples: {type: integer, minimum: 2, default: 100}
  neighbours: {$ref: "#/$defs/count", default: 50}
  training: {$ref: "#/$defs/training"}
"""

LEAST_DEVIATION = 1e-3  # of votes
ALIKE = 1e-5  # deviation of descriptors among images, below which the network has collapsed


def _every(n_images: int) -> int:
    """The images at multiples of this row are members: those among which the poses of queries are found."""
    return -(-n_images // MEMBERS)


class LearntDescriptors(TrainedModule):
    """Images are [B, 1, *grid] in [0, 1]. An embedding is all descriptors of an image."""

    compilable = ("network",)
    members: torch.Tensor
    null: torch.Tensor

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.dims = len(grid)
        name = f"{self.dims}d"
        stride = STRIDES[self.dims - 2]
        self.grid = no_larger(grid, settings[f"size_{name}"], multiple=stride)
        self.cells = [size // stride for size in self.grid]
        self.d = settings[f"descriptor_{name}"]
        self.network = DescriptorNetwork(self.dims, settings[f"channels_{name}"], self.d)
        # Some training images, among which the poses of queries are found.
        self.register_buffer("members", torch.zeros(1, 1, *self.grid))
        # Median and deviation of the largest votes under the null, [few or many poses, median or deviation, share].
        self.register_buffer("null", torch.tensor([0.0, 1.0])[:, None].repeat(2, 1, len(SHARES)))

    def configure_optimizers(self):
        return self.adamw(self.network.parameters())

    def prepare(self, images_BC):
        images_BC = resize(images_BC, self.grid)
        self.members = images_BC[:: _every(len(images_BC))].to(self.device, copy=True)
        return (images_BC,)

    def loss(self, images_BC: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """Of a batch and of its views, which the generator draws. Raises ValueError if all descriptors are alike."""
        views = draw_views(images_BC, generator)
        of_images, of_views = self.network(torch.cat([images_BC, views.images])).split(len(images_BC))
        if len(of_images) > 1 and of_images.detach().std(dim=0).mean() < ALIKE:
            raise ValueError(
                "the descriptors of all images are alike: the training collapsed, or its images are the same; "
                "lower training.learning_rate, raise training.warmup_steps, or leave repeated images out"
            )
        return correspondence_loss(of_views, of_images, views, self.settings["temperature"], generator)

    def training_step(self, batch, step, descend):
        loss = self.loss(batch[0], None)
        descend(loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_index):
        # The same views at every validation, so that losses differ by the network alone.
        generator = torch.Generator().manual_seed(derive_seed(self.settings["seed"], "validation", batch_index))
        return self.loss(resize(batch[0], self.grid), generator)

    @functools.cached_property
    def population(self) -> Population:
        return Population(halve(maps_of(self.members, self.grid))[:, WIDE:])

    def views(self, image_BC: torch.Tensor) -> torch.Tensor:
        """One image [1, 1, *grid] as it is, then in the poses that fit the training images best, [pose, 1, *grid].

        Inverted again if its negative fits them better.
        """
        (poses,) = self.population(halve(maps_of(image_BC, self.grid))[:, WIDE:], self.settings["poses"])
        if poses.inverted:
            image_BC = 1 - image_BC
        if not len(poses.matrices):
            return image_BC
        several = image_BC.expand(len(poses.matrices), *image_BC.shape[1:])
        return torch.cat([image_BC, warp(several, poses.matrices, poses.shifts)])

    def votes(self, views: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Votes of one image, seen as `views`, for T training images (`votes.keys_of`), [share, T].

        In the pose in which each of them gets most.
        """
        posed = self.network(views) * has_structure(views)
        return torch.stack([vote(descriptors, keys) for descriptors in posed.split(1)]).amax(dim=0)

    def weights(self):
        return {"members": self.members, "null": self.null, **self.network.state_dict(prefix="network.")}

    def load_weights(self, weights):
        self.members = weights["members"]  # as many as there are
        self.load_state_dict(weights)


def build(settings: dict, grid: list[int]) -> LearntDescriptors:
    """An untrained detector for images of shape `grid`."""
    return LearntDescriptors(settings, grid)


@torch.no_grad()
def fit(module: LearntDescriptors, images_BC: torch.Tensor) -> None:
    """Learn the null distribution of votes from training images [T, 1, *grid], once the network is trained.

    From images as they lie and from the same ones laid anew, each compared with the others.
    """
    settings = module.settings
    generator = torch.Generator().manual_seed(derive_seed(settings["seed"], "examples"))
    rows = torch.randperm(len(images_BC), generator=generator)
    # Members last: their own pose fits the members too well.
    rows = rows[(rows % _every(len(images_BC)) == 0).int().argsort(stable=True)][: settings["examples"]]
    keys = keys_of(embed(module, images_BC).to(module.device).unflatten(1, (module.d, *module.cells)))
    examples, of_both = resize(images_BC[rows], module.grid), []
    for some in (examples, laid_anew(examples, generator)):
        largest = []
        for row, image_BC in zip(rows.tolist(), some.to(module.device).split(1), strict=True):
            others = torch.cat([keys[..., :row], keys[..., row + 1 :]], dim=2)
            largest.append(module.votes(module.views(image_BC), others).amax(dim=1))
        of_shares = torch.stack(largest)
        of_both.append(torch.stack([of_shares.median(dim=0).values, of_shares.std(dim=0).clamp(min=LEAST_DEVIATION)]))
    module.null = torch.stack(of_both)


@torch.no_grad()
def embed(module: LearntDescriptors, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    chunks = images_BC.split(module.settings["training"]["batch_size"])
    resized = (resize(chunk.to(module.device), module.grid) for chunk in chunks)
    return torch.cat([module.network(chunk).flatten(1).cpu() for chunk in resized])


@torch.no_grad()
def compare(module: LearntDescriptors, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """Similarity [B, T] of images to training images, given by their embeddings [T, d].

    How far the votes for each as the source lie above the null distribution, for the share of cells that says most.
    """
    training = torch.from_numpy(np.asarray(embeddings)).to(module.device)
    keys = keys_of(training.unflatten(1, (module.d, *module.cells)))
    similarity = []
    for image_BC in resize(images_BC.to(module.device), module.grid).split(1):
        views = module.views(image_BC)
        median, deviation = module.null[int(len(views) > FEW)][..., None]
        similarity.append(((module.votes(views, keys) - median) / deviation).amax(dim=0))
    return torch.stack(similarity).cpu().numpy()
