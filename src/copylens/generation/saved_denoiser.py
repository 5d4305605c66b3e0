"""A network from elsewhere that denoises: what such networks share, whichever format they were saved in."""

from collections.abc import Callable

import torch

from copylens.generation.denoising import NoiseSchedule
from copylens.training.module import TrainedModule


class SavedDenoiser(TrainedModule):
    """Settings of the networks lie beside the weights, so that the user's folder is read only once."""

    schedule: NoiseSchedule

    def __init__(self, settings: dict):
        super().__init__(settings)
        self.architecture = torch.zeros(0, dtype=torch.uint8)

    def noisy_and_target(self, latent, noise, timesteps):
        """Input and target of the network."""
        return self.schedule.noisy_and_target(latent, noise, timesteps)

    def noise_of(self, prediction, noisy, timestep: int):
        """The noise in `noisy` by the network's prediction."""
        return self.schedule.noise_of(prediction, noisy, timestep)

    def states(self, read: Callable[[str], dict[str, torch.Tensor]]) -> tuple[int, dict[int, dict[str, torch.Tensor]]]:
        """The network's epoch, and the weights that `read` gives of each earlier state, by epoch."""
        last, named = self.settings["epoch"], self.settings["earlier"]
        epochs = {state["epoch"] for state in named}
        if len(epochs) < len(named) or any(epoch >= last for epoch in epochs):
            raise ValueError("models.earlier: epochs must differ, and lie below that of models.epoch")
        return last, {state["epoch"]: read(state["path"]) for state in named}
