"""The Lightning trainer: batches, seeds, resume, losses. Knows no network by name, and only training imports it.

A run is cut into chunks of `checkpoint_every` steps, which are Lightning's epochs. State is saved between chunks, and
every random draw inside one depends on (seed, chunk) alone, so that an interrupted training ends with the same bits.
"""

import logging
import math
import signal
import sys
import warnings
from typing import Literal

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader, TensorDataset

from copylens.jobs.job import rank
from copylens.jobs.seeds import derive_seed
from copylens.jobs.workdir import Unfinished, claim
from copylens.training.batches import Batches, ChunkBatches, PatientBatches
from copylens.training.callbacks import History, Snapshots, TerminalBar
from copylens.training.checkpoints import Best, PlainFiles, Saver, newest
from copylens.training.module import TrainedModule, device
from copylens.training.stopping import StopAtRise

Precision = Literal["32-true", "bf16-mixed"]


class Trainee(lightning.LightningModule):
    """A network wrapped for Lightning: several optimizers, each stepped by the network itself."""

    def __init__(self, network: TrainedModule, run: str, chunk_steps: int):
        super().__init__()
        self.network = network
        self.run = run
        self.chunk_steps = chunk_steps
        self.automatic_optimization = False

    def configure_optimizers(self):
        return self.network.configure_optimizers()

    def training_step(self, batch, batch_index):
        losses = self.network.training_step(batch, self.step(batch_index), self.descend)
        means = {name: loss.detach() for name, loss in losses.items()}
        self.log_dict(means, on_step=False, on_epoch=True, sync_dist=self.trainer.world_size > 1)
        if not all(torch.isfinite(loss) for loss in losses.values()):
            raise ValueError(
                f"{self.run}: the training diverged at step {self.step(batch_index) + 1} (its loss is not finite); "
                "lower its training.learning_rate"
            )

    def validation_step(self, batch, batch_index):
        loss = self.network.validation_step(batch, batch_index)
        self.log("validation_loss", loss, on_step=False, on_epoch=True)

    def step(self, batch_index: int) -> int:
        """Number of steps before this one."""
        return self.current_epoch * self.chunk_steps + batch_index

    def descend(self, loss: torch.Tensor, which: int = 0) -> None:
        """One clipped step of optimizer number `which` down `loss`."""
        optimizers = self.optimizers()
        schedules = self.lr_schedulers()
        optimizer = optimizers[which] if isinstance(optimizers, list) else optimizers
        schedule = schedules[which] if isinstance(schedules, list) else schedules
        optimizer.zero_grad()
        self.manual_backward(loss)
        if not self.network.settings.get("privacy"):  # whose optimizer clips by itself, each patient's gradient
            self.clip_gradients(optimizer.optimizer, self.network.settings["training"]["gradient_clip"], "norm")
        optimizer.step()
        assert schedule is not None  # every optimizer comes with one
        schedule.step()


def fit(
    module: TrainedModule,
    images_BC: torch.Tensor,
    seed: int,
    unfinished: Unfinished,
    identity: dict,
    validation_BC: torch.Tensor | None = None,
    n_devices: int = 1,
) -> pd.DataFrame:
    """Train `module` in place and return its losses: columns step, name, value (means over a chunk).

    Resumes an unfinished training of the same `identity` (settings, data, code). Its state stays on disk until
    `Unfinished.run` has written the results. With validation images, which go through the module's `validation_step`,
    the weights of the lowest loss are kept. Raises `copylens.jobs.job.OutOfTime` if the deadline comes before the end;
    the same call then resumes.

    On several devices this process starts the others, which run its script once more and share each batch (DDP); all
    return the same, and only the first of them (`rank` 0) may write files.
    """
    _quieten()
    settings, work = module.settings["training"], unfinished.work
    _share_device(settings, n_devices, len(images_BC))
    versions = {"torch": str(torch.__version__), "lightning": str(lightning.__version__)}
    if rank() == 0:
        claim(work, identity | {"versions": versions})
    resume_from = newest(work)
    n_chunks = math.ceil(settings["steps"] / settings["checkpoint_every"])
    chunk_steps = math.ceil(settings["steps"] / n_chunks)
    tensors = module.to(device()).prepare(images_BC)
    _compile(module)
    batches = _batches(module, len(tensors[0]), chunk_steps, seed, n_devices)
    history, best = History(chunk_steps, settings["steps"]), Best()
    callbacks = [Reseed(seed), history, *([StopAtRise(module, settings["stop"], history)] if settings["stop"] else [])]
    if settings["snapshots"]:
        callbacks.append(Snapshots(work / "snapshots", _snapshot_steps(settings, len(tensors[0])), chunk_steps))
    if validation_BC is not None:
        callbacks.append(best)
    callbacks.append(Saver(work, unfinished.deadline))  # after `best`, whose state it saves
    trainer = _trainer(n_chunks, callbacks, settings["precision"], n_devices)
    # A loader draws seeds for its workers at times of its own, so it gets a generator of its own.
    train_loader = DataLoader(TensorDataset(*tensors), sampler=batches, batch_size=None, generator=torch.Generator())
    validation_loader = None
    if validation_BC is not None:
        size = min(settings["batch_size"], len(validation_BC))
        validation_loader = DataLoader(
            TensorDataset(validation_BC), batch_size=size, drop_last=True, generator=torch.Generator()
        )
    if resume_from:
        print(f"resuming from {resume_from}", flush=True)
    trainee = Trainee(module, str(work), chunk_steps)
    try:
        trainer.fit(trainee, train_loader, validation_loader, ckpt_path=resume_from, weights_only=True)
    except BaseException:
        if trainer.strategy.launcher is not None:  # the other processes would wait for this one
            trainer.strategy.launcher.kill(signal.SIGKILL)
        raise
    if best.tensors:
        module.load_state_dict(best.tensors)
    return pd.DataFrame(history.rows, columns=["step", "name", "value"])


def _batches(module: TrainedModule, n_rows: int, chunk_steps: int, seed: int, n_devices: int) -> ChunkBatches:
    """The rows of each step: passes over the data, or patients taken at random where the training is private."""
    settings = module.settings["training"]
    steps = settings["batch_size"], chunk_steps, settings["steps"], seed
    if module.settings.get("privacy"):
        return PatientBatches(module.patients, *steps)
    return Batches(n_rows, *steps, rank(), n_devices)


def _quieten() -> None:
    """Silence advertisements, and warnings that don't apply here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Lightning's own use of a deprecated function; most trainings have no validation images; Snakemake starts them.
    unwanted = r"`isinstance\(treespec|You defined a `validation_step`|The `srun` command is available"
    warnings.filterwarnings("ignore", unwanted, module="lightning")


def _compile(module: TrainedModule) -> None:
    """Compile the module's networks, where the settings ask for it."""
    if not module.settings["training"]["compile"]:
        return
    if not module.compilable:
        raise ValueError(
            f"training.compile: networks of kind {module.settings['kind']} can't be compiled; leave it out"
        )
    for name in module.compilable:
        getattr(module, name).compile()


def _trainer(
    n_chunks: int, callbacks: list[Callback], precision: Literal["auto"] | Precision, n_devices: int
) -> lightning.Trainer:
    """A Lightning trainer for `n_chunks` epochs, which writes nothing by itself."""
    on_terminal = sys.__stderr__ is not None and sys.__stderr__.isatty() and rank() == 0
    return lightning.Trainer(
        max_epochs=n_chunks,
        callbacks=[*callbacks, TerminalBar()] if on_terminal else callbacks,
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=n_devices,
        # Each step of an adversarial training leaves out one of the networks.
        strategy="ddp_find_unused_parameters_true" if n_devices > 1 else "auto",
        use_distributed_sampler=False,
        precision=_precision(precision),
        deterministic=True if not torch.cuda.is_available() else "warn",
        # Without this, Lightning would resubmit a Slurm job by itself, beside the workflow.
        plugins=[LightningEnvironment(), PlainFiles()],
        logger=False,
        enable_progress_bar=on_terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


class Reseed(Callback):
    """Seeds torch's own generator at each chunk's start, so that an interrupted training repeats."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer, module) -> None:
        purpose = f"train {trainer.global_rank}" if trainer.global_rank else "train"
        torch.manual_seed(derive_seed(self.seed, purpose, trainer.current_epoch))


def _snapshot_steps(settings: dict, n_images: int) -> dict[int, int]:
    """{step: epoch} for the epochs whose weights are kept; ValueError if the training ends before one of them."""
    batch = min(settings["batch_size"], n_images)
    epoch_of_step = {math.ceil(epoch * n_images / batch): epoch for epoch in settings["snapshots"]}
    if max(epoch_of_step) > settings["steps"]:
        last = settings["steps"] * batch // n_images
        raise ValueError(
            f"training.snapshots: epoch {max(settings['snapshots'])} is beyond the last one, {last} "
            f"({settings['steps']} steps of {batch} of {n_images} images)"
        )
    return epoch_of_step


def count_devices(n_gpus: int) -> int:
    """Number of processes that train together: one per GPU, at most `n_gpus`, or one on the CPU."""
    return max(1, min(n_gpus, torch.cuda.device_count()))


def _share_device(settings: dict, n_devices: int, n_images: int) -> None:
    """Take this process's device, and its share of the job's threads."""
    torch.set_float32_matmul_precision("high" if settings["tf32"] else "highest")
    batch = min(settings["batch_size"], n_images)
    if batch % n_devices:
        raise ValueError(f"training.batch_size: {batch} images a step can't be shared by {n_devices} devices evenly")
    if n_devices > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // n_devices))
    if torch.cuda.is_available():
        torch.cuda.set_device(rank())


def _precision(wanted: Literal["auto"] | Precision) -> Precision:
    """`auto` is bfloat16 where a GPU has it, float32 elsewhere."""
    if wanted != "auto":
        return wanted
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if has_bfloat16 else "32-true"
