"""Callbacks of a training: progress, snapshots and losses."""

import sys
from pathlib import Path

from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from safetensors.torch import save_file

from copylens.jobs.files import whole


class TerminalBar(TQDMProgressBar):
    """A progress bar on the terminal itself, because a job's own output goes to its log."""

    def init_train_tqdm(self) -> Tqdm:
        return Tqdm(desc=self.train_description, file=sys.__stderr__, dynamic_ncols=True, bar_format=self.BAR_FORMAT)

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)


class Snapshots(Callback):
    """Keeps the weights at certain steps, one file per epoch, beside the checkpoint."""

    def __init__(self, folder: Path, epoch_of_step: dict[int, int], chunk_steps: int):
        self.folder = folder
        self.epoch_of_step = epoch_of_step
        self.chunk_steps = chunk_steps

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        epoch = self.epoch_of_step.get(trainer.current_epoch * self.chunk_steps + batch_index + 1)
        if epoch is not None and trainer.is_global_zero:
            tensors = {name: tensor.cpu().contiguous() for name, tensor in module.network.weights().items()}
            with whole(self.folder / f"{epoch}.safetensors") as temporary:
                save_file(tensors, temporary)


class History(Callback):
    """Keeps the chunks' mean losses with the checkpoint, and prints one line per chunk."""

    def __init__(self, chunk_steps: int, total_steps: int):
        self.chunk_steps = chunk_steps
        self.total_steps = total_steps
        self.rows: list[list] = []

    def on_train_epoch_end(self, trainer, module) -> None:
        step = min((trainer.current_epoch + 1) * self.chunk_steps, self.total_steps)
        losses = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.rows += [[step, name, value] for name, value in losses.items()]
        text = "  ".join(f"{name} {value:.5g}" for name, value in losses.items())
        if trainer.is_global_zero:
            print(f"step {step}/{self.total_steps}  {text}", flush=True)

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = [list(row) for row in state["rows"]]
