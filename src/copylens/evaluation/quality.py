"""Image quality: fidelity, diversity and novelty of samples, beside those of real images.

Features of samples are compared with those of the training images T; then real images that nobody trained on take the
samples' place, because no generator needs to be nearer to T than they are. Features come from any detector, at best
from an untrained one: `random_features` (Naeem et al. 2020, arXiv 2002.09797, section 5, found random networks useful
where images are unlike those of the pretraining). Distances, precision and recall don't show copying.

Distances to T are least for copies of T. The same metrics against patients whom nobody trained on, `<metric>_held_out`,
don't reward copying.
"""

import functools
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import prdc
import torch
from scipy.stats import mannwhitneyu
from scipy.stats import t as student
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from copylens.config.columns import STATE
from copylens.data.splits import rows_of
from copylens.detection.embed import Embedder
from copylens.jobs.files import read_array, read_table, read_yaml, write_table
from copylens.jobs.job import timed
from copylens.jobs.lean_monai import metrics
from copylens.jobs.seeds import generator_of

NEAREST = 5  # neighbours behind precision, recall, density and coverage (Naeem et al. 2020)
HELD_OUT, HALVINGS = "_held_out", 5
GROUPS = 10  # of held-out patients, left out in turn
CELLS = 3  # of the data-copying test
SMALLEST_CELL = 10  # images of each kind that a cell of it needs
PAIRS = 200  # of images whose MS-SSIM is averaged
WINDOW = 7  # pixels of the SSIM window, so that small grids hold several scales
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, "Multiscale structural similarity"


def score_quality(runs: list[dict], paths: list[dict[str, Path]], features: str, quality_path: Path) -> None:
    """Write the quality table: run columns, epoch, features (detector), metric, value, real, n_samples, n_reference.

    The reference is T, or for `<metric>_held_out` half of the held-out patients V and H, and `real` the value of the
    other half in the samples' place: means over both halves of several halvings. low and high are the 95 % interval of
    `frechet_distance_held_out` over held-out patients, by the jackknife that leaves out a tenth of them in turn.

    paths: for each run the folder of its detector, and the files scans (features of images), images, samples,
    reconstructed, splits, training_rows and spec. `real` is the value of as many held-out real images in the samples'
    place.
    """
    rows = []
    for run, files in zip(runs, paths, strict=True):
        named = {**{key: run[key] for key in STATE if key != "epoch"}, "features": features}
        rows += [{**named, **row} for row in _score_run(files)]
    write_table(pd.DataFrame(rows), quality_path)


def frechet_distance(samples: np.ndarray, reference: np.ndarray) -> float:
    """Frechet distance of two sets of features [n, d] as Gaussians (Heusel et al. 2017, arXiv 1706.08500)."""
    return float(metrics.fid.get_fid_score(torch.from_numpy(samples), torch.from_numpy(reference)))


def kernel_distance(samples: np.ndarray, reference: np.ndarray) -> float:
    """Unbiased squared MMD with the cubic kernel, known as KID (Binkowski et al. 2018, arXiv 1801.01401)."""
    within = 0.0
    for features in (samples, reference):
        kernel = polynomial_kernel(features, degree=3)
        n = len(features)
        within += (kernel.sum() - np.trace(kernel)) / (n * (n - 1))
    return float(within - 2 * polynomial_kernel(samples, reference, degree=3).mean())


def prdc_scores(samples: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """precision, recall, density and coverage (Naeem et al. 2020, arXiv 2002.09797)."""
    # The package would take eight threads.
    with joblib.parallel_config(backend="sequential"):
        return {name: float(value) for name, value in prdc.compute_prdc(reference, samples, NEAREST).items()}


def authentic_share(samples: np.ndarray, training: np.ndarray) -> float:
    """AuthPct: share of samples farther from their nearest training image than that is from its own nearest one.

    Alaa et al. 2022, arXiv 2102.08921, section 4.3.
    """
    neighbours = NearestNeighbors(n_neighbors=2).fit(training)
    to_training, nearest = neighbours.kneighbors(samples, n_neighbors=1)
    between = neighbours.kneighbors(training)[0][:, 1]
    return float(np.mean(to_training[:, 0] > between[nearest[:, 0]]))


def data_copying(samples: np.ndarray, training: np.ndarray, held_out: np.ndarray, seed: int) -> float:
    """C_T, a z-score: below 0 samples are nearer to T than held-out images are, far below -3 they are copied.

    Meehan et al. 2020, arXiv 2004.05675, section 3: a Mann-Whitney test of the distances to the nearest training
    image, averaged over cells of the feature space. NaN where no cell holds enough of both.
    """
    cells = KMeans(n_clusters=CELLS, n_init=10, random_state=seed).fit(training.astype(np.float64))
    neighbours = NearestNeighbors(n_neighbors=1).fit(training)
    distances = [neighbours.kneighbors(features)[0][:, 0] for features in (samples, held_out)]
    labels = [cells.predict(features.astype(np.float64)) for features in (samples, held_out)]
    scores, weights = [], []
    for cell in range(CELLS):
        of_samples, of_held_out = (values[label == cell] for values, label in zip(distances, labels, strict=True))
        m, n = len(of_samples), len(of_held_out)
        if min(m, n) >= SMALLEST_CELL:
            statistic = mannwhitneyu(of_samples, of_held_out).statistic
            scores.append((statistic - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))
            weights.append(n)
    return float(np.average(scores, weights=weights)) if scores else float("nan")


def self_similarity(images: np.ndarray, seed: int) -> float:
    """Mean MS-SSIM of random pairs of `images` [n, *grid]: the higher, the less diverse."""
    generator = generator_of("kernel distance", seed)
    first = generator.integers(len(images), size=PAIRS)
    second = (first + generator.integers(1, len(images), size=PAIRS)) % len(images)
    n_scales = max(1, min(len(SCALE_WEIGHTS), int(np.log2(min(images.shape[1:]) / WINDOW)) + 1))
    weights = np.array(SCALE_WEIGHTS[:n_scales]) / sum(SCALE_WEIGHTS[:n_scales])
    metric = metrics.MultiScaleSSIMMetric(images.ndim - 1, kernel_size=WINDOW, weights=weights.tolist())
    left, right = (torch.from_numpy(np.array(images[rows]))[:, None] for rows in (first, second))
    return float(metric(left, right).mean())


class HeldOut:
    """Patients of V and H as the reference: half of them at a time, means over both halves of `HALVINGS` halvings.

    features: of all images [n, d]. splits: which of them are whose.
    """

    def __init__(self, features: np.ndarray, splits: pd.DataFrame):
        self.features, self.patients = features, splits["patient"].to_numpy()
        rows = np.concatenate([rows_of(splits, role) for role in ("calibration", "control")])
        everybody, generator = np.unique(self.patients[rows]), generator_of("halves of held-out patients")
        self.halvings = []
        for _ in range(HALVINGS):
            is_first = np.isin(self.patients[rows], generator.permutation(everybody)[::2])
            self.halvings.append([generator.permutation(half) for half in (rows[is_first], rows[~is_first])])
        self.groups = np.array_split(generator.permutation(everybody), min(GROUPS, len(everybody)))
        self.smallest = min(len(half) for half in self._halves())

    def of_real(self, m: int) -> dict[str, float]:
        """Metrics of `m` real images of the one half beside the other."""
        pairs = [pair for both in self.halvings for pair in (both, both[::-1])]
        return _mean([_beside(self.features[one[:m]], self.features[other]) for one, other in pairs])

    def of_samples(self, features: np.ndarray) -> dict[str, float]:
        """Metrics of samples' features [m, d]."""
        return _mean([_beside(features, self.features[half]) for half in self._halves()])

    def interval(self, features: np.ndarray) -> tuple[float, float]:
        """The 95 % interval over held-out patients of the Frechet distance of samples' features [m, d].

        By the jackknife over groups of patients (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter
        11), because images drawn twice, as in a bootstrap, would bias the covariance.
        """
        without = np.array([self._distance(features, leaving_out=group) for group in self.groups])
        n = len(without)
        reach = student.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
        middle = self._distance(features, leaving_out=np.array([], dtype=self.patients.dtype))
        return middle - reach, middle + reach

    def _distance(self, features: np.ndarray, leaving_out: np.ndarray) -> float:
        kept = [half[~np.isin(self.patients[half], leaving_out)] for half in self._halves()]
        return float(np.mean([frechet_distance(features, self.features[half]) for half in kept]))

    def _halves(self) -> list[np.ndarray]:
        return [half for both in self.halvings for half in both]


def _score_run(files: dict[str, Path]) -> list[dict]:
    """Rows epoch, metric, value, real, n_samples and n_reference of every state of one network."""
    embed = _embedder(files["detector"])
    splits = read_table(files["splits"])
    scans, images, samples = (read_array(files[name]) for name in ("scans", "images", "samples"))
    train = read_table(files["training_rows"])["row"].to_numpy()
    calibration, control = rows_of(splits, "calibration"), rows_of(splits, "control")
    generator = generator_of("halves of real images")
    held_out = generator.permutation(np.concatenate([calibration, control]))
    n = min(samples.shape[1], len(held_out))
    held_out, drawn = held_out[:n], np.sort(generator.permutation(samples.shape[1])[:n])
    mean, deviation = scans[train].mean(axis=0), scans[train].std(axis=0)

    def scaled(features: np.ndarray) -> np.ndarray:
        # In units of the training images' own spread, so that no feature counts for more than another.
        return (features - mean) / np.maximum(deviation, 1e-6)

    training, of_calibration = scaled(scans[train]), scaled(scans[calibration])
    real = _metrics(scaled(scans[held_out]), training) | {
        "data_copying": data_copying(scaled(scans[control]), training, of_calibration, 0),
        "self_similarity": self_similarity(images[np.sort(held_out)], 0),
    }
    reconstructed = read_array(files["reconstructed"])
    if len(reconstructed):
        error = np.abs(reconstructed - images[np.concatenate([calibration, control])]).mean()
    apart = HeldOut(scaled(scans), splits)
    m = min(samples.shape[1], apart.smallest)
    few = np.sort(generator.permutation(samples.shape[1])[:m])
    real |= apart.of_real(m)
    sizes = {False: (n, len(train)), True: (m, apart.smallest)}
    rows = []
    for epoch, of_state in zip(read_yaml(files["spec"])["epochs"], samples, strict=True):
        with timed("embedding"):
            features = scaled(embed(of_state))
        values = _metrics(features[drawn], training) | {
            "data_copying": data_copying(features[drawn], training, of_calibration, 0),
            "self_similarity": self_similarity(of_state[drawn], 0),
            **apart.of_samples(features[few]),
        }
        intervals = {f"frechet_distance{HELD_OUT}": apart.interval(features[few])}
        if len(reconstructed):
            values["reconstruction_error"] = error
        rows += [
            {
                "epoch": epoch,
                "metric": metric,
                "value": value,
                **dict(zip(("low", "high"), intervals.get(metric, (np.nan, np.nan)), strict=True)),
                "real": real.get(metric, np.nan),
                **dict(zip(("n_samples", "n_reference"), sizes[metric.endswith(HELD_OUT)], strict=True)),
            }
            for metric, value in values.items()
        ]
    return rows


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of the metrics beside halves of the held-out patients, under names of their own."""
    return {f"{metric}{HELD_OUT}": float(np.mean([row[metric] for row in rows])) for metric in rows[0]}


def _metrics(features: np.ndarray, training: np.ndarray) -> dict[str, float]:
    return _beside(features, training) | {"authentic_share": authentic_share(features, training)}


def _beside(features: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    return {
        "frechet_distance": frechet_distance(features, reference),
        "kernel_distance": kernel_distance(features, reference),
        **prdc_scores(features, reference),
    }


@functools.cache
def _embedder(detector: Path):
    return Embedder(detector)
