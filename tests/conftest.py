"""What several tests share: the tiny configuration, and the real images where they are at hand."""

import os

# Before torch is imported: one thread, whatever else the machine does.
os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from copylens.config import checks
from copylens.jobs.files import write_array

ROOT = Path(__file__).parents[1]
# Properties are tried on the same examples in every run; COPYLENS_EXAMPLES=10000 tries more of them.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=int(os.environ.get("COPYLENS_EXAMPLES", "40"))
)
settings.load_profile("repeatable")


@pytest.fixture
def tiny() -> dict:
    """configs/tiny.yaml, checked and with its defaults."""
    return checks.load_config(ROOT / "configs" / "tiny.yaml")


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of real images for development; a test that needs it skips elsewhere."""
    folder = Path(os.environ.get("COPYLENS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "nih_chestxray").is_dir():
        pytest.skip(f"needs real images in {folder}; set COPYLENS_DATA to the folder that holds nih_chestxray")
    return folder


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    """An empty folder of raw images below COPYLENS_DATA."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path))
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture(params=[[16, 16], [8, 8, 8]], ids=["2d", "3d"])
def grid(request) -> list[int]:
    """Shape of the images of `data`."""
    return request.param


@pytest.fixture
def data(grid, tmp_path) -> Path:
    """A folder with images.npy and splits.tsv: smooth blobs of 16 training, 12 + 12 held-out and 8 other patients."""
    n_scans = 48
    generator = np.random.default_rng(0)
    centres = generator.uniform(0.25, 0.75, (n_scans, len(grid)))
    axes = np.meshgrid(*[(np.arange(size) + 0.5) / size for size in grid], indexing="ij")
    centres = centres.T.reshape(len(grid), n_scans, *[1] * len(grid))
    distance = sum((axis - centre) ** 2 for axis, centre in zip(axes, centres, strict=True))
    write_array(np.exp(-distance / 0.03), tmp_path / "images.npy")
    roles = ["train"] * 16 + ["calibration"] * 12 + ["control"] * 12 + ["unused"] * 8
    lines = [f"scan_{row}\tpatient_{row}\t{role}" for row, role in enumerate(roles)]
    (tmp_path / "splits.tsv").write_text("\n".join(["scan\tpatient\trole", *lines]) + "\n")
    return tmp_path
