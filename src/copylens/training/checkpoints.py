"""The state of an unfinished training: its last two checkpoints, its best weights, and its deadline.

No crash loses more than the chunk of steps that it interrupts.
"""

import errno
import io
import os
import pickle
import time
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from copylens.jobs.job import OutOfTime

GENERATIONS = ("last.ckpt", "previous.ckpt")  # newest first
MARGIN = 20  # seconds left for stopping before the time limit
UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


def newest(work: Path) -> Path | None:
    """The newest readable checkpoint in `work`, or None where there is none."""
    for path in (work / name for name in GENERATIONS):
        if not path.exists():
            continue
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except (*UNREADABLE, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # an error of the disk, not of the file
                raise
            print(f"{path}: can't be read ({type(error).__name__}), perhaps cut short; removed", flush=True)
            path.unlink()
        else:
            return path
    return None


class PlainFiles(TorchCheckpointIO):
    """Writes a checkpoint straight to its path; Lightning itself would write it to $TMPDIR first."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        buffer = io.BytesIO()  # torch would report a full disk as an unexpected position
        torch.save(checkpoint, buffer)
        Path(path).write_bytes(buffer.getbuffer())


class Best(Checkpoint):
    """Keeps the network's tensors at its lowest validation loss, as part of the checkpoint."""

    def __init__(self):
        self.loss, self.tensors = float("inf"), {}

    def on_validation_end(self, trainer, module) -> None:
        loss = float(trainer.callback_metrics["validation_loss"])
        if loss < self.loss:
            self.loss = loss
            self.tensors = {name: tensor.cpu().clone() for name, tensor in module.network.state_dict().items()}

    def state_dict(self) -> dict:
        return {"loss": self.loss, "tensors": self.tensors}

    def load_state_dict(self, state: dict) -> None:
        self.loss, self.tensors = state["loss"], state["tensors"]


class Saver(Checkpoint):
    """Saves the state after each chunk, and stops where the next one would end after the `deadline` (seconds of
    `time.time`; None is no limit)."""

    def __init__(self, work: Path, deadline: float | None):
        self.work, self.deadline = work, deadline
        self.slowest, self.saved = 0.0, False

    def on_train_start(self, trainer, module) -> None:
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        if trainer.world_size == 1:  # several processes decide together, at a chunk's end
            self._stop_if(self._left() < 0, trainer)

    def on_train_epoch_end(self, trainer, module) -> None:
        last, previous = (self.work / name for name in GENERATIONS)
        temporary = last.with_name(f".{last.name}")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            if last.exists():
                os.replace(last, previous)
            os.replace(temporary, last)
        self.saved = True
        now = time.monotonic()
        self.slowest, self.started = max(self.slowest, now - self.started), now
        self._stop_if(trainer.current_epoch + 1 < trainer.max_epochs and self._left() < self.slowest, trainer)

    def _left(self) -> float:
        return float("inf") if self.deadline is None else self.deadline - MARGIN - time.time()

    def _stop_if(self, late: bool, trainer) -> None:
        if self.deadline is None or not trainer.strategy.broadcast(late):  # all processes of a training, or none
            return
        if not self.saved:
            raise ValueError(
                f"{self.work}: the time limit comes before one chunk of steps is done and saved; if every allocation "
                "ends like this, give the rule a longer runtime, or lower training.checkpoint_every"
            )
        raise OutOfTime(f"{self.work}: stopped before the time limit; submit it again to resume")
