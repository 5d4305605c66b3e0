"""Near-duplicates among a data set's images, before anything is trained: they drive memorization, and a calibration
patient who is also in the training set under another name breaks the threshold."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.detection.embed import Embedder, embed_file
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.evaluation.thresholds import largest_by_chance
from copylens.jobs.files import read_array, read_table, write_table
from copylens.jobs.workdir import Unfinished

COLUMNS = ["scan", "patient", "other_scan", "other_patient", "similarity"]


def find_duplicates(settings: dict, k: int, images_path: Path, scans_path: Path, path: Path) -> None:
    """Write the pairs of near-duplicate images: scan, patient, other_scan, other_patient, similarity.

    Every image is compared with all others by an untrained detector with `settings`. The threshold comes from
    non-matching pairs, each image and its nearest one of another patient: the median and the upper quartile of their
    similarities, which duplicates hardly move, give a Gumbel distribution, and the threshold is the value that the
    largest of so many exceeds with a chance of 5 %. Pairs of one patient have the same threshold.
    """
    scans = read_table(scans_path)
    everything = pd.DataFrame({"scan": scans["scan"], "patient": scans["patient"], "role": "train"})
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        folder, splits = Path(work) / "detector", Path(work) / "splits.tsv"
        write_table(everything, splits)
        train_detector(settings, {"images": images_path, "splits": splits}, folder, Unfinished(Path(work) / "training"))
        embed_file(Embedder(folder), images_path, folder / "scans.npy", Unfinished(Path(work) / "embedding"))
        images = all_of(np.array(read_array(images_path)), np.array(read_array(folder / "scans.npy")))
        # One more than asked for: the nearest is the image itself.
        similarity, position = Comparer(folder, images).nearest(images, k + 1)
    patient = scans["patient"].to_numpy()
    query = np.repeat(np.arange(len(scans)), similarity.shape[1])
    similarity, position = similarity.ravel(), position.ravel()
    other_patient = patient[query] != patient[position]
    tau = largest_by_chance(pd.Series(similarity[other_patient]).groupby(query[other_patient]).max().to_numpy())
    listed = (query != position) & (similarity > tau)
    pairs = pd.DataFrame({"one": query, "other": position, "similarity": similarity})[listed]
    pairs[["one", "other"]] = np.sort(pairs[["one", "other"]], axis=1)
    pairs = pairs.sort_values("similarity", ascending=False, kind="stable").drop_duplicates(["one", "other"])
    named = {name: scans[name].to_numpy() for name in ("scan", "patient")}
    columns = [named[name][pairs[side]] for side in ("one", "other") for name in ("scan", "patient")]
    write_table(pd.DataFrame(dict(zip(COLUMNS, [*columns, pairs["similarity"]], strict=True))), path)
    n_mixed = (pairs["one"].map(dict(enumerate(patient))) != pairs["other"].map(dict(enumerate(patient)))).sum()
    print(f"{len(pairs)} pairs of near-duplicates above {tau:.4g}, {n_mixed} of them of two patients")
