"""Rows whose inner products are Pearson correlations. Loads no torch: searching arrays needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def standardise(rows: torch.Tensor) -> torch.Tensor:
    """Rows [B, d] with mean 0 and norm 1."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-6)


def standardise_array(rows: np.ndarray) -> np.ndarray:
    """The same for an array that may lie in a file, float32 [..., row, d]; rows without variance give 0."""
    centred = np.array(rows, dtype=np.float32)
    constant = np.ptp(centred, axis=-1, keepdims=True) == 0  # whose rounded mean may leave a remainder
    centred -= centred.mean(axis=-1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    np.copyto(centred, 0, where=constant)
    return centred
