"""Can training patients be told from other patients without any generator? Then no membership attack says anything.

A classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv 1610.06545): where the held-out patients come from another
scanner or protocol, a classifier that sees nothing but real images separates them, and so does every attack, whatever
the generator has learnt. T are the training images, V and H other patients' images.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from copylens.evaluation.areas import auc_interval
from copylens.evaluation.intervals import effective_number

QUANTILES = np.linspace(0.05, 0.95, 10)  # of an image's grey values: brightness, contrast, gamma
RINGS = 12  # of spatial frequencies, from none to half the sampling rate: blur, noise, resolution
PIXELS = 8, 5  # a side, in 2D and 3D: what the images show, and where
FOLDS, RIDGE = 5, 0.01  # of the cross-validation by patient, and the inverse strength of the classifier's penalty
LEAST = FOLDS  # patients on either side
BATCH = 64


def shift_scores(
    training: np.ndarray, others: np.ndarray, patients: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """How much like training images a classifier finds images of T [n, *grid], and those of V and H [m, *grid], all in
    [0, 1]: float32 [n] and [m].

    patients: numbers of T's patients [n] and of the others' [m]; nobody is among both. Each image is scored by a
    classifier that was fitted to other patients.

    Raises ValueError for fewer than `LEAST` patients on a side.
    """
    for name, of_side in zip(("training", "held-out"), patients, strict=True):
        if len(set(of_side)) < LEAST:
            raise ValueError(f"{len(set(of_side))} {name} patients are too few for a classifier; at least {LEAST}")
    seen = np.concatenate([_features(images) for images in (training, others)])
    truth = np.arange(len(seen)) < len(training)
    groups = np.concatenate([np.unique(of_side, return_inverse=True)[1] for of_side in patients])
    groups[~truth] += groups[truth].max() + 1
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE, class_weight="balanced", max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    score = cross_val_predict(classifier, seen, truth, groups=groups, cv=folds, method="decision_function")
    return score[truth].astype(np.float32), score[~truth].astype(np.float32)


def shift(
    scores: tuple[np.ndarray, np.ndarray], patients: tuple[np.ndarray, np.ndarray], level: float
) -> tuple[float, float, float]:
    """(area under the curve, low, high) of the scores of `shift_scores`; 0.5 is chance. patients: as there."""
    n_training, n_others = (effective_number(of_side) for of_side in patients)
    return auc_interval(*scores, n_training, n_others, norm.ppf(0.5 + level / 2))


def _features(images: np.ndarray) -> np.ndarray:
    """Those of `grey_and_frequencies`, and a few pixels, float [n, feature]."""
    # Imported here, because who reads scores needs no torch.
    from copylens.imaging.filters import resize
    from copylens.training.tensors import as_batch

    dims = images.ndim - 1
    few = [resize(as_batch(some), [PIXELS[dims - 2]] * dims).flatten(1).numpy() for some in _blocks(images)]
    return np.concatenate([grey_and_frequencies(images), np.concatenate(few)], axis=1)


def grey_and_frequencies(images: np.ndarray) -> np.ndarray:
    """Quantiles of images' grey values [n, *grid], and logarithms of their power spectra by rings, float [n, feature].

    They say how hard an image is to denoise, but hardly whom it shows.
    """
    dims = images.ndim - 1
    frequencies = np.meshgrid(*[np.fft.fftfreq(size) for size in images.shape[1:]], indexing="ij")
    ring = np.digitize(np.linalg.norm(frequencies, axis=0), np.linspace(0, 0.5, RINGS + 1)[1:])
    inside = ring.ravel() < RINGS
    n_pixels = np.maximum(np.bincount(ring.ravel()[inside], minlength=RINGS), 1)
    rows = []
    for some in _blocks(images):
        centred = some - some.mean(axis=tuple(range(1, dims + 1)), keepdims=True)
        power = np.abs(np.fft.fftn(centred, axes=range(1, dims + 1))).reshape(len(some), -1)[:, inside] ** 2
        rings = np.stack([np.bincount(ring.ravel()[inside], weights=row, minlength=RINGS) for row in power]) / n_pixels
        grey = np.quantile(some.reshape(len(some), -1), QUANTILES, axis=1).T
        rows.append(np.concatenate([grey, np.log(rings + 1e-9)], axis=1))
    return np.concatenate(rows)


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(images[start : start + BATCH], np.float32) for start in range(0, len(images), BATCH))
