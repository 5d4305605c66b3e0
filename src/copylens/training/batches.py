"""The rows of each step's batch: passes over the images, or patients taken at random."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

from copylens.jobs.seeds import derive_seed


class ChunkBatches(Sampler):
    """Row numbers of the batches of one chunk of steps, a list each; every draw depends on (seed, step) alone."""

    def __init__(self, chunk_steps: int, total_steps: int, seed: int):
        self.chunk_steps, self.total_steps, self.seed = chunk_steps, total_steps, seed
        self.set_epoch(0)

    def set_epoch(self, chunk: int) -> None:
        """Lightning calls this at the start of each chunk."""
        first = chunk * self.chunk_steps
        self.steps = range(first, min(first + self.chunk_steps, self.total_steps))

    def __len__(self) -> int:
        return len(self.steps)


class Batches(ChunkBatches):
    """Row numbers of one chunk's batches: whole passes over the data, each in an order made of (seed, pass).

    Of several processes, each has every `world`-th row of a batch, beginning with its `rank`.
    """

    def __init__(
        self, n_rows: int, batch_size: int, chunk_steps: int, total_steps: int, seed: int, rank: int = 0, world: int = 1
    ):
        self.share = slice(rank, None, world)
        self.n_rows = n_rows
        self.batch_size = min(batch_size, n_rows)
        self.per_pass = n_rows // self.batch_size
        super().__init__(chunk_steps, total_steps, seed)

    def __iter__(self) -> Iterator[list[int]]:
        current, order = -1, torch.empty(0)
        for step in self.steps:
            number, position = divmod(step, self.per_pass)
            if number != current:
                generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
                current, order = number, torch.randperm(self.n_rows, generator=generator)
            yield order[position * self.batch_size : (position + 1) * self.batch_size][self.share].tolist()


class PatientBatches(ChunkBatches):
    """Rows of one chunk's batches: each patient with probability `batch_size` / patients, one random image of each.

    Of a batch only its expected size is known. patients: of each row of the training images, [row].
    """

    def __init__(self, patients: np.ndarray, batch_size: int, chunk_steps: int, total_steps: int, seed: int):
        self.rows_of = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]
        self.share = min(1.0, batch_size / len(self.rows_of))
        super().__init__(chunk_steps, total_steps, seed)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "patients", step))
            taken = torch.rand(len(self.rows_of), generator=generator) < self.share
            picks = torch.rand(len(self.rows_of), generator=generator)
            yield [
                int(rows[int(pick * len(rows))])
                for rows, pick, is_taken in zip(self.rows_of, picks.tolist(), taken.tolist(), strict=True)
                if is_taken
            ]
