"""How well one detector finds planted copies, transform by transform.

The queries are planted copies of training images, and control images under the same transform. A query's score is its
similarity to the nearest training image, as in an audit, so the benchmark measures the detector's actual use.
"""

import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.data.splits import rows_of
from copylens.detection.embed import Embedder
from copylens.detection.nearest import Comparer, all_of
from copylens.evaluation.areas import counted_above, found_at
from copylens.evaluation.thresholds import PERCENTILE
from copylens.jobs.files import read_array, read_table, write_arrays, write_table
from copylens.jobs.seeds import generator_of

CANDIDATES = 20  # among which the right source should be
DRAWS = 300  # of the bootstrap over patients
METRICS = (
    "auroc",
    "average_precision",
    "tpr_at_5fpr",
    "tpr_at_1fpr",
    "f1",
    "sensitivity",
    "false_positives",
    "top1",
    "recall_at_20",
)


def benchmark_detector(
    files: dict[str, Path], folder: Path, name: str, benchmark_path: Path, planted_path: Path
) -> None:
    """Write the table: detector, transform, group, n_copies, n_controls, each of `METRICS` with _low and _high, tau.

    sensitivity and false_positives: the share of copies and of control images above tau, the matched rule's threshold,
    which is set on untransformed calibration images. f1 is the largest over all thresholds. top1: share of copies whose
    nearest training image is their source, or another image of the same patient; recall_at_20: share with such an image
    among the candidates. Intervals are 95 % percentile intervals from resampling patients.

    Write also the file of planted images for `copylens.evaluation.correction`: similarity [transform, source] to the
    nearest training image, transform and group, is_copy and patient (numbered) by source.

    files: images, splits, scans (embeddings of images), planted, sources, transforms.
    """
    splits, sources = read_table(files["splits"]), read_table(files["sources"])
    real = all_of(read_array(files["images"]), read_array(files["scans"]))
    rows = rows_of(splits, "train")
    comparer = Comparer(folder, real[rows])
    embed = Embedder(folder)
    patient = splits["patient"].to_numpy()
    calibration = comparer.nearest(real[rows_of(splits, "calibration")], CANDIDATES)[0][:, 0]
    tau = np.percentile(calibration, PERCENTILE)
    is_copy = (sources["role"] == "train").to_numpy()
    weights = _weights(sources)
    planted, transforms = read_array(files["planted"]), read_table(files["transforms"])
    table, nearest, seconds = [], [], 0.0
    for number, transform in transforms.iterrows():
        start = time.perf_counter()
        queries = all_of(planted[number], embed(planted[number]))
        similarity, position = comparer.nearest(queries, CANDIDATES)
        seconds += time.perf_counter() - start
        same = patient[rows[position]] == sources["patient"].to_numpy()[:, None]
        nearest.append(similarity[:, 0])
        measured = _measure(similarity[:, 0], is_copy, same, tau, weights)
        table.append(
            {
                "detector": name,
                **transform,
                "n_copies": int(is_copy.sum()),
                "n_controls": int((~is_copy).sum()),
                **measured,
                "tau": tau,
            }
        )
    write_table(pd.DataFrame(table), benchmark_path)
    arrays = {
        "similarity": np.stack(nearest),
        "is_copy": is_copy,
        "patient": np.unique(sources["patient"], return_inverse=True)[1],
    }
    names = {name: transforms[name].to_numpy(str) for name in ("transform", "group")}
    write_arrays({**arrays, **names}, planted_path)
    # In the log and not in the table, which must repeat bit for bit.
    pairs, memory = len(table) * len(sources) * len(rows) / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seconds / pairs:.3g} s per million pairs, at most {memory / 1024:.0f} MiB")


def _measure(score, is_copy, same_patient, tau, weights) -> dict[str, float]:
    """Every metric with its interval; row 0 of weights[draw, query] is the original data."""
    true, false = counted_above(is_copy, score, weights)
    found, called, copies = true / true[:, -1:], false / false[:, -1:], weights[:, is_copy]
    precision = true[:, 1:] / (true + false)[:, 1:].clip(min=1)
    shares = {  # of the copies, and of the control images, which are counted
        "sensitivity": (copies, score[is_copy] > tau),
        "false_positives": (weights[:, ~is_copy], score[~is_copy] > tau),
        "top1": (copies, same_patient[is_copy, 0]),
        f"recall_at_{CANDIDATES}": (copies, same_patient[is_copy].any(axis=1)),
    }
    draws = {
        "auroc": np.trapezoid(found, called, axis=1),
        "average_precision": (np.diff(found, axis=1) * precision).sum(axis=1),
        "tpr_at_5fpr": found_at(found, called, 0.05),
        "tpr_at_1fpr": found_at(found, called, 0.01),
        "f1": (2 * true / (true + false + true[:, -1:])).max(axis=1),
        **{metric: (times @ counted) / times.sum(axis=1) for metric, (times, counted) in shares.items()},
    }
    row: dict[str, float] = {}
    for metric, values in draws.items():
        low, high = np.percentile(values[1:], [2.5, 97.5])
        row |= {metric: values[0], f"{metric}_low": min(low, values[0]), f"{metric}_high": max(high, values[0])}
    return row


def _weights(sources: pd.DataFrame) -> np.ndarray:
    """How often each planted image counts, [1 + draws, source]: patients of each role are resampled."""
    generator = generator_of("benchmark intervals")
    weights = np.ones((1 + DRAWS, len(sources)), np.int64)
    for role in sources["role"].unique():
        of_role = (sources["role"] == role).to_numpy()
        patients = np.unique(sources["patient"][of_role], return_inverse=True)[1]
        n = patients.max() + 1
        weights[1:, of_role] = generator.multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, patients]
    return weights
