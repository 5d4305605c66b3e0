"""Linkability and inference from samples: do the halves of a training image find the same sample, and each other?

Two of the three risks of the Article 29 Working Party's Opinion 05/2014 (WP216); the third, singling out, is a copy.
An attacker has one half of a patient's image and the samples. They are linkable where both halves, which the attacker
got from two places, lead to the same sample; inferable where the sample that one half leads to shows the other half.
Both also happen by chance, to patients nobody trained on (Giomi et al. 2023, Proc. Priv. Enhancing Technol. 2023:312,
"Anonymeter").
"""

from collections.abc import Iterator

import numpy as np

from copylens.evaluation.membership import BLOCK, unit, whiten

COMPONENTS = 256  # of each half, at most
FIRST = 0.01  # share of the samples that count as found by a half, at least one
ROUNDING = 1e-5  # of a similarity
Halves = tuple[np.ndarray, np.ndarray]


def whitened_halves(samples: np.ndarray, sets: dict[str, np.ndarray]) -> dict[str, Halves]:
    """The halves along the last axis of the images of `sets` [n, *grid] and of the samples [S, *grid] (as synthetic),
    float32 [n, component], whitened by the samples' halves.

    Raises ValueError for too few samples (`copylens.evaluation.membership.whiten`).
    """
    middle = samples.shape[-1] // 2
    of_halves = []
    for half in (slice(0, middle), slice(middle, None)):
        flat = {name: images[..., half].reshape(len(images), -1) for name, images in sets.items()}
        of_halves.append(whiten(samples[..., half].reshape(len(samples), -1), flat, COMPONENTS))
    return {name: (of_halves[0][name], of_halves[1][name]) for name in of_halves[0]}


def linked(halves: Halves, samples: Halves) -> np.ndarray:
    """Whether the sample most like an image's first half is also among the samples most like its second half, bool [n].

    Among as many as a share `FIRST` of the samples.
    """
    first = max(1, int(FIRST * len(samples[0])))
    found = [
        (second > np.take_along_axis(second, best[:, None], axis=1) + ROUNDING).sum(axis=1) < first
        for best, second in _blocks(halves, samples)
    ]
    return np.concatenate(found)


def guessed(halves: Halves, samples: Halves) -> tuple[np.ndarray, np.ndarray]:
    """(similarity [n] of an image's second half to that of the sample most like its first half, naive [n]).

    naive: to that of the sample that the image before it leads to, another patient's wherever patients have one image.
    """
    found, best = [], []
    for nearest, second in _blocks(halves, samples):
        found.append(np.take_along_axis(second, nearest[:, None], axis=1)[:, 0])
        best.append(nearest)
    others = unit(samples[1], COMPONENTS)[np.roll(np.concatenate(best), 1)]
    return np.concatenate(found), (unit(halves[1], COMPONENTS) * others).sum(axis=1)


def _blocks(halves: Halves, samples: Halves) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(the sample most like the first half [m], similarities of the second half to all samples [m, S]) by blocks."""
    near = [unit(half, COMPONENTS).T for half in samples]
    rows = [unit(half, COMPONENTS) for half in halves]
    for start in range(0, len(rows[0]), BLOCK):
        first, second = (one[start : start + BLOCK] @ other for one, other in zip(rows, near, strict=True))
        yield first.argmax(axis=1), second
