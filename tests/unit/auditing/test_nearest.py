"""Real images that several audits share are compared once, and only those."""

import numpy as np
import pytest

from copylens.auditing.nearest import compare_audit
from copylens.config.kinds import settings_schema
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.train import train_detector
from copylens.jobs.files import read_array, read_arrays, write_array, write_arrays
from copylens.jobs.workdir import Unfinished

EXACT = {"kind": "exact"}


@pytest.fixture
def audit(data):
    """The files of an audit, and a fitted detector; a function that compares, by another audit's results or without."""
    properties = settings_schema("detectors", "pixel_correlation")["properties"]
    defaults = {key: entry["default"] for key, entry in properties.items() if "default" in entry}
    files = {"images": data / "images.npy", "splits": data / "splits.tsv"}
    folder = data / "detector"
    train_detector(defaults | {"kind": "pixel_correlation"}, files, folder, Unfinished(data / "work"))
    embed_file(Embedder(folder), files["images"], data / "scans.npy", Unfinished(data / "work_scans"))
    images = np.array(read_array(files["images"]))
    for name, array in (("synthetic", images[:5]), ("decoded", images[:0]), ("planted", images[None, :4] / 2)):
        write_array(array, data / f"{name}.npy")
        files[name] = data / f"{name}.npy"

    def compare(name: str, other: dict | None = None, **changed) -> dict:
        compare_audit(files | {"scans": data / "scans.npy"} | changed, folder, 5, EXACT, data / f"{name}.npz", other)
        return read_arrays(data / f"{name}.npz")

    def others(**changed) -> dict:
        shared = {
            "weights": folder / "weights.safetensors",
            "scans": data / "scans.npy",
            "nearest": data / "marked.npz",
        }
        return {name: str(path) for name, path in (files | shared | changed).items()}  # as a rule names its files

    first = compare("first")
    write_arrays({name: array + 7 for name, array in first.items()}, data / "marked.npz")
    return compare, others, first


def taken(found: dict, first: dict) -> set[str]:
    """The sets that come from the other audit, whose numbers are 7 larger."""
    assert found.keys() == first.keys()
    names = {name.removesuffix("_index") for name in first if name.endswith("_index") and len(first[name])}
    own = {name for name in names if np.array_equal(found[f"{name}_index"], first[f"{name}_index"])}
    marked = {name for name in names if np.array_equal(found[f"{name}_index"], first[f"{name}_index"] + 7)}
    assert own | marked == names
    return marked


def test_sets_that_both_audits_share_are_taken_and_samples_are_compared(audit):
    compare, others, first = audit
    shared = {"calibration", "control", "planted", "train_to_held_out"}
    assert taken(compare("second", others()), first) == shared


def test_what_differs_is_compared(audit, data):
    compare, others, first = audit
    write_array(read_array(data / "planted.npy") + 0.01, data / "planted_otherwise.npy")
    found = compare("second", others(planted=data / "planted_otherwise.npy"))
    assert taken(found, first) == {"calibration", "control", "train_to_held_out"}
    write_array(read_array(data / "images.npy")[::-1], data / "images_otherwise.npy")
    assert taken(compare("third", others(images=data / "images_otherwise.npy")), first) == set()
