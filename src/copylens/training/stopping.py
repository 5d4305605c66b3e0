"""A training that ends by itself where a denoiser begins to memorize, as its checkpoint remembers."""

from lightning.pytorch.callbacks import Callback

from copylens.training.callbacks import History
from copylens.training.module import TrainedModule


class StopAtGap(Callback):
    """Ends the training with the first chunk after which the network's `denoising_gap` is larger than settings["gap"].

    The gap is written into `history`, which must be called before.
    """

    def __init__(self, network: TrainedModule, settings: dict, history: History):
        self.network, self.settings, self.history, self.stopped = network, settings, history, False

    def on_train_start(self, trainer, module) -> None:
        trainer.should_stop = self.stopped  # where only the results are still to be written

    def on_train_epoch_end(self, trainer, module) -> None:
        gap, most = self.network.denoising_gap(self.settings["images"]), self.settings["gap"]
        self.history.rows.append([self.history.rows[-1][0], "denoising_gap", gap])
        self.stopped = trainer.strategy.broadcast(gap > most)
        if self.stopped:
            trainer.should_stop = True
            if trainer.is_global_zero:
                print(
                    f"stopped: the denoising loss of calibration images is {100 * gap:.3g} % above that of training "
                    f"images, more than training.stop.gap ({100 * most:g} %)",
                    flush=True,
                )

    def state_dict(self) -> dict:
        return {"stopped": self.stopped}

    def load_state_dict(self, state: dict) -> None:
        self.stopped = state["stopped"]
