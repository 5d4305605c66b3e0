"""Base classes of every network of copylens, independent of the trainer: drawing and embedding need none."""

import itertools
import math

import numpy as np
import torch

from copylens.imaging.augment import draw_moves, moved


class TrainedModule(torch.nn.Module):
    """The trainer's interface to a network. Subclasses write `configure_optimizers` and `training_step`.

    One that is validated also writes `validation_step`.
    """

    compilable: tuple[str, ...] = ()  # names of the networks that training.compile compiles
    denoises = True  # whether denoising losses can be measured, if its kind has any

    def __init__(self, settings: dict):
        super().__init__()
        self.settings = settings
        # Real images [B, 1, *grid] by role, for what looks at them beside its training; no part of its weights.
        self.known: dict[str, torch.Tensor] = {}
        self.patients = np.empty(0, int)  # of each training image

    @property
    def device(self) -> torch.device:
        """The device of the network's first tensor; the CPU if it has none."""
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def configure_optimizers(self) -> tuple[list, list]:
        """The optimizers and their learning-rate schedules, one each."""
        raise NotImplementedError

    def training_step(self, batch: tuple[torch.Tensor, ...], step: int, descend) -> dict[str, torch.Tensor]:
        """One step on `batch`, the `step`-th from 0; returns the losses for the log.

        `descend(loss, which=0)` takes one clipped step of optimizer number `which` down `loss`.
        """
        raise NotImplementedError

    def validation_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        """The loss of `batch`, the `batch_index`-th of the validation images."""
        raise NotImplementedError

    def prepare(self, images_BC: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The network's training tensors, computed once from the training images; one entry per argument of a batch."""
        return (images_BC,)

    def earlier(self) -> tuple[int, dict[int, dict[str, torch.Tensor]]]:
        """Of a network that comes trained: its epoch, and the tensors of its earlier states by their epochs."""
        return 0, {}

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Begin the training with the tensors of another network of the same shape."""
        raise NotImplementedError

    def spent(self) -> dict[str, float]:
        """Of a private training: epsilon, delta and noise_multiplier."""
        return {}

    def denoising_gap(self, n_images: int) -> float:
        """By how much the denoising loss of known calibration images is above that of training images, as a share.

        Each is the mean of at most `n_images` of them.
        """
        raise ValueError(f"training.stop: networks of kind {self.settings['kind']} don't denoise; leave it out")

    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors needed to use the trained network."""
        raise NotImplementedError

    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Load the tensors that `weights` returned."""
        raise NotImplementedError

    def augmented(self, images_BC: torch.Tensor) -> torch.Tensor:
        """The images, flipped and turned at random if `augment` is set."""
        return self.augmented_by(images_BC)[0] if self.settings["augment"] else images_BC

    def augmented_by(self, images_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images, flipped and turned at random, and how: [B, axis + plane], zeros for an image left as it was.

        1 for an axis along which it's flipped, and the angle in each plane as a share of the largest one.
        """
        chances = self.settings["augment"]
        draws = chances["flip"], chances["rotation"], chances["degrees"]
        signs, angles = draw_moves(len(images_BC), images_BC.ndim - 2, *draws)
        largest = max(math.radians(chances["degrees"]), torch.finfo(angles.dtype).tiny)
        how = torch.cat([(1 - signs) / 2, angles / largest], dim=1)
        return moved(images_BC, signs, angles), how.to(images_BC.device)

    def adamw(self, parameters, betas: tuple[float, float] = (0.9, 0.999)) -> tuple[list, list]:
        """AdamW with a linear warm-up and, if set, a cosine decay to 0, as ([optimizer], [schedule])."""
        training = self.settings["training"]
        optimizer = torch.optim.AdamW(
            parameters, lr=training["learning_rate"], betas=betas, weight_decay=training["weight_decay"]
        )
        warmup = max(1, training["warmup_steps"])

        def rate(step: int) -> float:
            decay = 1.0
            if training["decay"] == "cosine":
                decay = 0.5 * (1 + math.cos(math.pi * min(1.0, step / training["steps"])))
            return min(1.0, (step + 1) / warmup) * decay

        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, rate)]


class LatentSpace(TrainedModule):
    """The interface of an autoencoder to networks on its latents. Images are [B, 1, *grid] in [0, 1]."""

    latent_shape: list[int]  # [channel, *grid]

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latent, [B, *latent_shape] each."""
        raise NotImplementedError

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Images [B, 1, *grid], clipped to [0, 1]."""
        raise NotImplementedError


class Untrained(TrainedModule):
    """Nothing is trained or kept: the settings determine everything."""

    def weights(self):
        return {}

    def load_weights(self, weights):
        pass


class KeptImages(TrainedModule):
    """Keeps the images that it is given, [scan, 1, *grid]; nothing is trained."""

    def __init__(self, settings: dict):
        super().__init__(settings)
        self.register_buffer("images", torch.empty(0))

    def prepare(self, images_BC):
        self.images = images_BC
        return (images_BC,)

    def weights(self):
        return {"images": self.images}

    def load_weights(self, weights):
        self.images = weights["images"]


def device() -> str:
    """The device that networks run on: a GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
