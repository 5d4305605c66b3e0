"""Whether the samples are images of the same kind as the patients': detectors may miss a copy in another orientation.

Images that were transposed, inverted, zoomed or saved with their slices in another order are unlike all training images
under every detector, even if they show the same patients. So before copies are counted, the samples' orientations are
estimated, and a small classifier tries to separate samples from real images by a few pixels. Blur, noise and other
losses of quality change these pixels little.
"""

import itertools
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from copylens.data.splits import rows_of
from copylens.imaging.correlation import standardise
from copylens.imaging.filters import resize
from copylens.imaging.orientation import BETTER, Lie, Orienter
from copylens.imaging.warps import look, places_of
from copylens.jobs.files import read_array, read_table, write_arrays
from copylens.jobs.job import timed
from copylens.training.tensors import as_batch

SETS = ("synthetic", "calibration", "control")
PIXELS = 8, 5  # a side, that the classifier sees, in 2D and 3D
FOLDS, RIDGE = 5, 0.01  # of the cross-validation, and the inverse strength of the classifier's penalty
LEAST = 2 * FOLDS  # images of either kind, for a classifier
BATCH = 64
ZOOMS = (1.0, 0.5, 0.7, 1.4, 2.0)  # of the samples' mean image, and shares of each side that it is shifted by
SHIFTS = (0.0, -0.375, -0.25, -0.125, 0.125, 0.25, 0.375)


def measure_kind(images_path: Path, splits_path: Path, synthetic_path: Path, path: Path) -> None:
    """Write the orientations of the samples and of calibration and control images, and a classifier's scores.

    For each set of `SETS`: `<set>_orientation`, a row of `copylens.imaging.orientation.orientations`, `<set>_sorted`,
    the axis along which slices had to be sorted or -1, int64 [image], and `<set>_score`, float32 [image], the decision
    value for synthetic against real of a cross-validated logistic regression on a few pixels; no rows where there are
    too few images. zoom and shift [axis] under which the samples' mean image is most similar to the training images'.
    example, the position of a misoriented sample, fitted [*grid], the sample in its best orientation, and nearest, its
    nearest row of images.npy then; -1 without one.
    """
    splits, images, synthetic = read_table(splits_path), read_array(images_path), read_array(synthetic_path)
    trained = rows_of(splits, "train")
    orienter = Orienter(as_batch(images[rows]) for rows in np.array_split(trained, -(-len(trained) // BATCH)))
    arrays: dict[str, np.ndarray] = {}
    real = {name: images[rows_of(splits, name)] for name in SETS[1:]}
    with timed("orientations"):
        for name, some in {"synthetic": synthetic, **real}.items():
            lie = lie_of(orienter, some)
            arrays |= {f"{name}_orientation": lie.orientation, f"{name}_sorted": lie.sorted_along}
    few = [_few_pixels(some) for some in (synthetic, *real.values())]
    for name, score in zip(SETS, cross_validated(few), strict=True):
        arrays[f"{name}_score"] = score
    arrays |= _placed(synthetic, images[trained]) | _example(orienter, synthetic, arrays, images, trained)
    write_arrays(arrays, path)


def lie_of(orienter: Orienter, images: np.ndarray) -> Lie:
    """The orientations of images [n, *grid]."""
    lies = [orienter(as_batch(images[start : start + BATCH]))[1] for start in range(0, len(images), BATCH)]
    return Lie(*map(np.concatenate, zip(*map(astuple, lies), strict=True)))


def cross_validated(few: list[np.ndarray]) -> list[np.ndarray]:
    """The decision values for synthetic, float32 [n] for each set of `few` [n, pixel], whose first set is synthetic.

    Each image is scored by a classifier that was fitted to the other folds.
    """
    ends = np.cumsum([len(some) for some in few])
    truth = np.arange(ends[-1]) < ends[0]
    if min(truth.sum(), (~truth).sum()) < LEAST:
        return [np.empty(0, np.float32) for _ in few]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE, class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    score = cross_val_predict(classifier, np.concatenate(few), truth, cv=folds, method="decision_function")
    return np.split(score.astype(np.float32), ends[:-1])


def _few_pixels(images: np.ndarray) -> np.ndarray:
    dims = images.ndim - 1
    blocks = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    # Standardised, because another brightness or contrast doesn't make another kind.
    rows = [standardise(resize(as_batch(some), [PIXELS[dims - 2]] * dims).flatten(1)) for some in blocks]
    return np.concatenate([part.numpy() for part in rows])


def _placed(synthetic: np.ndarray, training: np.ndarray) -> dict[str, np.ndarray]:
    """The zoom and shift under which the samples' mean image is most similar to the training images'."""
    dims = synthetic.ndim - 1
    mean, wanted = (as_batch(some.mean(axis=0, dtype=np.float32)[None]) for some in (synthetic, training))
    moves = list(itertools.product(ZOOMS, itertools.product(SHIFTS, repeat=dims)))
    correlations = []
    for zoom, shift in moves:
        places = places_of(mean.shape[2:], torch.eye(dims)[None] / zoom, torch.tensor(shift[::-1])[None])
        # Places outside of the mean image have no values.
        inside = (places[0].abs() <= 1).all(dim=-1)
        view = look(mean, places)[0, 0][inside]
        correlations.append(float(standardise(view[None])[0] @ standardise(wanted[0, 0][inside][None])[0]))
    fits = np.arctanh(np.clip(correlations, -0.9999, 0.9999))
    best = int(fits.argmax()) if fits.max() > fits[0] + BETTER else 0
    zoom, shift = moves[best]
    return {"zoom": np.asarray(zoom, np.float32), "shift": np.asarray(shift, np.float32)}


def _example(orienter: Orienter, synthetic: np.ndarray, arrays: dict, images: np.ndarray, trained: np.ndarray) -> dict:
    """A misoriented sample with the commonest better orientation, and its nearest training image."""
    pairs = np.stack([arrays["synthetic_orientation"], arrays["synthetic_sorted"]], axis=1)
    otherwise = np.flatnonzero((pairs != [0, -1]).any(axis=1))
    if not len(otherwise):
        return {"example": np.int64(-1), "fitted": np.empty(0, np.float32), "nearest": np.int64(-1)}
    _, of_pair, times = np.unique(pairs[otherwise], axis=0, return_inverse=True, return_counts=True)
    example = otherwise[np.argmax(of_pair.ravel() == times.argmax())]
    fitted, _ = orienter(as_batch(synthetic[example][None]))
    likeness = standardise(resize(fitted, orienter.low).flatten(1)) @ orienter.training.T
    nearest = trained[int(likeness[0].argmax())]
    return {"example": np.int64(example), "fitted": fitted[0, 0].numpy(), "nearest": np.int64(nearest)}
