"""Files read by several processes: the same bytes, the same first error, and nothing left of a process that died."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.jobs.parallel import in_order

LISTING = {
    **{"reader": "image_folder", "root": "raw", "pattern": "**/*.*", "patient": r"p(\d+)_"},
    "limits": {"pixels": 10**6, "padded": 10**6, "bytes": 10**7, "seconds": 10},
}
IMAGING = {"grid": [8, 8], "fit": "pad", "scaling": {"kind": "minmax"}}


@pytest.fixture
def pictures(raw) -> Path:
    for number in range(40):
        values = np.random.default_rng(number).integers(0, 256, (12, 10 + number % 3), np.uint8)
        Image.fromarray(values).save(raw / f"p{number // 2:02d}_{number:02d}.png")
    return raw


def gather(folder: Path, n_processes: int) -> list[bytes]:
    list_scans(LISTING, folder / "scans.tsv", "", n_processes)
    gather_images(LISTING, IMAGING, folder / "scans.tsv", folder / "images.npy", n_processes)
    return [(folder / name).read_bytes() for name in ("scans.tsv", "images.npy")]


def test_the_files_are_those_of_one_process(pictures, tmp_path):
    assert gather(tmp_path / "three", 3) == gather(tmp_path / "one", 1)


@pytest.mark.parametrize("n_processes", [1, 3])
def test_the_first_damaged_file_is_named_and_nothing_is_left(pictures, tmp_path, n_processes):
    for number in (33, 7, 20):
        (pictures / f"p{number // 2:02d}_{number:02d}.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"p03_07\.png: can't be read"):
        gather(tmp_path / "out", n_processes)
    assert not list((tmp_path / "out").glob("*scans.tsv*"))


def test_a_process_that_is_killed_is_named_and_nothing_is_left(pictures, tmp_path, monkeypatch):
    list_scans(LISTING, tmp_path / "scans.tsv")
    here = os.getpid()

    def killed(*_):
        assert os.getpid() != here
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("copylens.data.images.scale", killed)
    with pytest.raises(OSError, match="was killed; it may need more memory"):
        gather_images(LISTING, IMAGING, tmp_path / "scans.tsv", tmp_path / "images.npy", 2)
    assert not list(tmp_path.glob("*images*"))


def test_pieces_are_shared_out_and_their_order_kept():
    found = list(in_order(lambda number: (number, os.getpid()), 1000, 3))
    assert [number for number, _ in found] == list(range(1000))
    assert os.getpid() not in {process for _, process in found}
