"""Samples that repeat one image, as a generator with mode collapse draws them."""

import numpy as np

from copylens.imaging.correlation import standardise
from copylens.imaging.filters import no_larger, resize
from copylens.training.tensors import as_batch

LONGEST = 32, 16  # pixels of the longest side that images are compared at, in 2D and 3D
ALIKE = 0.98  # correlation from which one sample may repeat another
MANY = 2000  # real images, spread evenly, for the similarity of different patients' images
BLOCK = 1024


def groups_of_repeats(synthetic: np.ndarray, real: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """The group of each sample [S, *grid], int64 [S]: the position of the first sample that it repeats, or its own.

    A sample repeats another if they correlate by `ALIKE` or more, and by more than 99 % of real images [R, *grid] with
    the most similar image of another of the `patients` [R].
    """
    subset = np.unique(np.linspace(0, len(real) - 1, min(MANY, len(real))).round().astype(int))
    rows, of_patient = _rows(real[subset]), patients[subset]
    likeness = rows @ rows.T
    likeness[of_patient[:, None] == of_patient[None]] = -1
    limit = max(ALIKE, float(np.percentile(likeness.max(axis=1), 99)))
    samples = _rows(synthetic)
    group = np.arange(len(samples))
    leaders: list[int] = []
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK]
        to_leaders = block @ samples[leaders].T if leaders else np.empty((len(block), 0))
        within, n_before = block @ block.T, len(leaders)
        for row in range(len(block)):
            new = [leader - start for leader in leaders[n_before:]]
            alike = np.concatenate([to_leaders[row], within[row, new]]) >= limit
            if alike.any():
                group[start + row] = leaders[int(alike.argmax())]
            else:
                leaders.append(start + row)
    return group


def _rows(images: np.ndarray) -> np.ndarray:
    """Images as standardised rows of few pixels, float32 [n, pixel]: their products are correlations."""
    grid = no_larger(list(images.shape[1:]), LONGEST[images.ndim - 3])
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    return np.concatenate([standardise(resize(as_batch(some), grid).flatten(1)).numpy() for some in blocks])
