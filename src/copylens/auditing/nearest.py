"""Every image of an audit beside its nearest training images, by one detector.

T are the training images, V calibration, H control images.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.findings import HELD_OUT
from copylens.data.splits import rows_of
from copylens.detection.embed import Embedder
from copylens.detection.nearest import Comparer, Images, all_of
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import read_array, read_arrays, read_table, write_arrays
from copylens.jobs.job import timed

SAMPLES, TRAINED = 1000, 100  # at most, that are compared with V and H


def compare_audit(
    files: dict[str, Path], detector: Path, k: int, search: dict, path: Path, other: dict[str, Path] | None = None
) -> None:
    """Write for each set `<set>_similarity`, float32, and `<set>_index`, int64 [image]: its nearest row of T.

    The sets are synthetic, calibration, control, calibration_decoded, control_decoded (no rows without a decoder) and
    planted (transforms one after the other). The nearest is the best of `k` candidates. If a detector chooses
    candidates by images, they are one image of each of `k` patients: its similarity may depend on how far one candidate
    stands out from the others, and several images of one patient would hide that.

    Likewise synthetic_to_held_out and train_to_held_out: samples, and images of T, beside the images of V and H. At
    most `SAMPLES` and `TRAINED` of them, spread evenly, because only shares are computed from these.

    files: images, splits and scans (the embeddings of images), synthetic, decoded, planted. other: the same of another
    audit by the same detector, its weights, and nearest, what was written for it: sets that both share are taken from
    there.
    """
    splits = read_table(files["splits"])
    real = all_of(read_array(files["images"]), read_array(files["scans"]))
    embed = Embedder(detector)
    decoded, planted = read_array(files["decoded"]), read_array(files["planted"])
    n_calibration = len(rows_of(splits, "calibration")) if len(decoded) else 0
    new = {
        "synthetic": read_array(files["synthetic"]),
        "planted": planted.reshape(-1, *planted.shape[2:]),
        "calibration_decoded": decoded[:n_calibration],
        "control_decoded": decoded[n_calibration:],
    }
    trained = rows_of(splits, "train")
    comparer = _comparer(detector, real, trained, splits, search)
    arrays = _known(files, detector, other) if other else {}
    with timed("comparison"):
        sets = {role: real[rows_of(splits, role)] for role in HELD_OUT}
        sets |= {name: all_of(new[name], embed(new[name])) for name in new if f"{name}_index" not in arrays}
        for name, images in sets.items():
            if f"{name}_index" not in arrays:
                arrays |= _nearest(name, comparer, images, k)
        held_out = np.concatenate([rows_of(splits, role) for role in HELD_OUT])
        comparer = _comparer(detector, real, held_out, splits, search)
        for name, images, most in (("synthetic", sets["synthetic"], SAMPLES), ("train", real[trained], TRAINED)):
            if f"{name}_to_held_out_index" not in arrays:
                subset = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))
                arrays |= _nearest(f"{name}_to_held_out", comparer, images[subset], k)
    write_arrays(arrays, path)


def _nearest(name: str, comparer: Comparer, images: Images, k: int) -> dict[str, np.ndarray]:
    similarity, index = comparer.nearest(images, k)
    return {f"{name}_similarity": similarity[:, 0], f"{name}_index": index[:, 0]}


def _known(files: dict[str, Path], detector: Path, other: dict[str, Path]) -> dict[str, np.ndarray]:
    """What another audit's comparisons say of sets that are byte by byte this audit's, beside the same images of T."""
    mine = {**files, "weights": detector / "weights.safetensors"}
    same = {name for name in mine.keys() & other.keys() if file_checksum(mine[name]) == file_checksum(other[name])}
    if not {"images", "splits", "scans", "weights"} <= same:
        return {}
    shared = [*HELD_OUT, "train_to_held_out"]
    shared += ["planted"] if "planted" in same else []
    shared += ["calibration_decoded", "control_decoded"] if "decoded" in same else []
    arrays = read_arrays(other["nearest"])
    print(f"compared already by another audit: {', '.join(shared)}")
    return {f"{name}_{part}": arrays[f"{name}_{part}"] for name in shared for part in ("similarity", "index")}


def _comparer(detector: Path, real: Images, rows: np.ndarray, splits: pd.DataFrame, search: dict) -> Comparer:
    """A comparer with these rows of the real images."""
    patients = np.unique(splits["patient"].to_numpy()[rows], return_inverse=True)[1]
    several = len(np.unique(patients)) < len(patients)
    return Comparer(detector, real[rows], search, patients if several else None)
