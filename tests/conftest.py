"""What several tests share: the tiny configuration, and the real images where they are at hand."""

import os

# Before torch is imported: one thread, whatever else the machine does.
os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import pytest

from copylens import spec

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tiny() -> dict:
    """configs/tiny.yaml, checked and with its defaults."""
    return spec.load_config(ROOT / "configs" / "tiny.yaml")


@pytest.fixture
def real_images() -> Path:
    """The folder of real images for development; a test that needs it skips elsewhere."""
    folder = Path(os.environ.get("COPYLENS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "nih_chestxray").is_dir():
        pytest.skip(f"needs real images in {folder}; set COPYLENS_DATA to the folder that holds nih_chestxray")
    return folder
