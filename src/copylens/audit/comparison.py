"""Every image of an audit beside its nearest training images, by one detector."""

from pathlib import Path

import numpy as np

from copylens.comparison import Comparer, all_of
from copylens.detection import Embedder
from copylens.files import read_array, read_table, write_arrays
from copylens.job import timed
from copylens.splits import rows_of


def compare_audit(files: dict[str, Path], detector: Path, k: int, search: dict, path: Path) -> None:
    """Write for each set `<set>_similarity`, float32, and `<set>_index`, int64 [image]: its nearest row of T.

    The sets are synthetic, calibration, control, calibration_decoded, control_decoded (no rows without a decoder) and
    planted (transforms one after the other). The nearest is the best of `k` candidates. Of a detector that chooses
    these by images they are of `k` patients, one each: what counts may be how far one stands out from the others, and
    many images of one patient would hide it.

    files: images, splits and scans (the embeddings of images), synthetic, decoded, planted.
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
    patients = np.unique(splits["patient"].to_numpy()[trained], return_inverse=True)[1]
    several = len(np.unique(patients)) < len(patients)
    comparer = Comparer(detector, real[trained], search, patients if several else None)
    arrays = {}
    with timed("comparison"):
        sets = {role: real[rows_of(splits, role)] for role in ("calibration", "control")}
        for name, images in (sets | {name: all_of(array, embed(array)) for name, array in new.items()}).items():
            similarity, index = comparer.nearest(images, k)
            arrays[f"{name}_similarity"], arrays[f"{name}_index"] = similarity[:, 0], index[:, 0]
    write_arrays(arrays, path)
