"""A training that ends by itself where a denoiser begins to memorize, as its checkpoint remembers."""

from lightning.pytorch.callbacks import Callback

from copylens.config.columns import GAP, RISE
from copylens.training.callbacks import History
from copylens.training.module import TrainedModule


class StopAtRise(Callback):
    """Ends the training with the first chunk after which the network's `denoising_gap` has risen by settings["rise"].

    Risen above its least: where one of the two sets is harder to denoise by chance, the gap begins above or below 0,
    whatever the network remembers. Both are written into `history`, which must be called before.
    """

    def __init__(self, network: TrainedModule, settings: dict, history: History):
        self.network, self.settings, self.history, self.stopped = network, settings, history, False

    def on_train_start(self, trainer, module) -> None:
        trainer.should_stop = self.stopped  # where only the results are still to be written

    def on_train_epoch_end(self, trainer, module) -> None:
        gap, most = self.network.denoising_gap(self.settings["images"]), self.settings["rise"]
        rise = gap - min([gap, *(value for _, name, value in self.history.rows if name == GAP)])
        step = self.history.rows[-1][0]
        self.history.rows += [[step, GAP, gap], [step, RISE, rise]]
        self.stopped = trainer.strategy.broadcast(rise > most)
        if self.stopped:
            trainer.should_stop = True
            if trainer.is_global_zero:
                print(
                    f"stopped: the gap between the denoising losses of calibration and training images has risen by "
                    f"{100 * rise:.3g} % of the latter, more than training.stop.rise ({100 * most:g} %)",
                    flush=True,
                )

    def state_dict(self) -> dict:
        return {"stopped": self.stopped}

    def load_state_dict(self, state: dict) -> None:
        self.stopped = state["stopped"]
