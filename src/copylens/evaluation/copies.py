"""Copies among synthetic images, found in arrays: one detector, one threshold, one table."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.kinds import kinds
from copylens.config.schema import validate
from copylens.config.spec import IMAGE_KEYS
from copylens.data.entries import as_arguments, entry_of, scans_of
from copylens.data.grids import grid_of, shapes_of
from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.evaluation.thresholds import PERCENTILE
from copylens.jobs.files import read_array, write_array, write_table
from copylens.jobs.workdir import Unfinished

FEWEST = 20  # calibration images: of fewer the percentile is their largest value
SETS = ("training", "calibration", "synthetic")


def find_copies(synthetic, training, calibration, detector: str | dict = "copylens") -> pd.DataFrame:
    """Each synthetic image's nearest training image, and whether it is a copy by the matched rule.

    Three sets of images are given as three arrays or tensors [n, H, W] or [n, D, H, W] on one grid, or as three folders
    (PNG, JPEG, TIFF, NIfTI, DICOM, .npy). Arrays' grey values are scaled from the training images' range to [0, 1], in
    all three alike; files' each from its own range, on a grid of at most 64 (3D: 32) pixels a side.

    Args:
        synthetic: the generator's images.
        training: images that the generator was trained on.
        calibration: images of patients who weren't trained on, one of each. The threshold is the 95th percentile of
            their similarities to the training images (`copylens.evaluation.thresholds`), so about 5 % of images of new
            patients are called copies.
        detector: a kind, or its settings with the key kind (docs/detectors.md).

    Returns:
        A row per synthetic image: sample, training (positions, from 0), similarity, copy; of folders also sample_file
            and training_file. `table.attrs["threshold"]` is the threshold.

    Raises:
        ValueError: for images of other shapes, values that aren't finite, and fewer than 20 calibration images.

    Examples:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).normal(size=(70, 16, 16)).cumsum(1).cumsum(2)
        >>> table = find_copies(images[:3], training=images[:30], calibration=images[30:], detector="pixel_correlation")
        >>> table[["sample", "training", "copy"]].values.tolist()
        [[0, 0, True], [1, 1, True], [2, 2, True]]
    """
    given = {"training": training, "calibration": calibration, "synthetic": synthetic}
    names: dict[str, list[str]] = {}
    if any(isinstance(part, str | Path) for part in given.values()):
        given, names = _of_folders(given)
    images = _checked(given)
    settings: dict = {"kind": detector} if isinstance(detector, str) else dict(detector)
    if settings.get("kind") not in kinds("detectors"):
        raise ValueError(f"detector: unknown kind '{settings.get('kind')}'; there are {', '.join(kinds('detectors'))}")
    validate(settings, "detector", ("properties", "detectors", "additionalProperties"))
    k = settings.pop("neighbours")
    roles = np.repeat(["train", "calibration", "unused"], [len(images[name]) for name in SETS])
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        work = Path(place)
        write_array(np.concatenate([images[name] for name in SETS]), work / "images.npy")
        splits = pd.DataFrame({"patient": np.arange(len(roles)).astype(str), "role": roles})
        write_table(splits, work / "splits.tsv")
        files = {"images": work / "images.npy", "splits": work / "splits.tsv"}
        train_detector(settings, files, work / "detector", Unfinished(work / "training"))
        embed_file(Embedder(work / "detector"), files["images"], work / "embedded.npy", Unfinished(work / "embedding"))
        everything = all_of(read_array(files["images"]), read_array(work / "embedded.npy"))
        comparer = Comparer(work / "detector", everything[roles == "train"])
        to_calibration, _ = comparer.nearest(everything[roles == "calibration"], k)
        similarity, position = comparer.nearest(everything[roles == "unused"], k)
    threshold = float(np.percentile(to_calibration[:, 0], PERCENTILE))
    columns = {"sample": np.arange(len(similarity)), "training": position[:, 0], "similarity": similarity[:, 0]}
    table = pd.DataFrame(columns).assign(copy=lambda rows: rows["similarity"] > threshold)
    if names:
        table["sample_file"] = names["synthetic"]
        table["training_file"] = [names["training"][position] for position in table["training"]]
    table.attrs["threshold"] = threshold
    return table


def _of_folders(folders: dict) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """The images of three folders on one grid, and the names of their files."""
    if not all(isinstance(folder, str | Path) for folder in folders.values()):
        raise ValueError("synthetic, training, calibration: give three folders, or three arrays")
    try:
        entries = {part: entry_of(Path(folder).expanduser(), None) for part, folder in folders.items()}
        listed = {part: scans_of(entry) for part, entry in entries.items()}
        grid, _ = grid_of({part: shapes_of(*of_part) for part, of_part in listed.items()})
    except ValueError as error:
        raise ValueError(as_arguments(str(error))) from None
    images = {}
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        for part, (entry, _, _) in listed.items():
            work = Path(place, part)
            list_scans(entry, work / "scans.tsv")
            imaging = {key: (entry | {"grid": list(grid)})[key] for key in IMAGE_KEYS}
            gather_images(entry, imaging, work / "scans.tsv", work / "images.npy")
            images[part] = np.array(read_array(work / "images.npy"))
    return images, {part: [scan.source for scan in scans] for part, (_, _, scans) in listed.items()}


def _checked(images: dict) -> dict[str, np.ndarray]:
    """Arrays float32 in the training images' range, on one grid."""
    arrays = {name: np.asarray(given, dtype=np.float32) for name, given in images.items()}
    for name, array in arrays.items():
        if array.ndim not in (3, 4) or not len(array):
            raise ValueError(f"{name}: has shape {list(array.shape)}; images [n, H, W] or [n, D, H, W] are needed")
        if array.shape[1:] != arrays["training"].shape[1:]:
            raise ValueError(
                f"{name}: has images of {'x'.join(map(str, array.shape[1:]))}, the training images are "
                f"{'x'.join(map(str, arrays['training'].shape[1:]))}; resample them to one grid"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: holds values that are not finite (NaN or infinite)")
    if len(arrays["calibration"]) < FEWEST:
        raise ValueError(
            f"calibration: has {len(arrays['calibration'])} images; a threshold needs {FEWEST} or more, of patients "
            "who aren't in the training set"
        )
    low, high = float(arrays["training"].min()), float(arrays["training"].max())
    if low == high:
        raise ValueError(f"training: every pixel has the same value, {low:g}; there is nothing to see")
    return {name: (array - low) / (high - low) for name, array in arrays.items()}
