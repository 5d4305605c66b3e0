"""What is read is what was written; and a full disk is one sentence."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from copylens.jobs import checksums, files
from copylens.jobs.workdir import Chunks
from copylens.training.tensors import save_tensors


def chunks(path: Path) -> None:
    rows = Chunks(path.parent, (3,))
    rows.add(np.ones((3, 8, 8), np.float32))
    rows.move_to(path)


KINDS = {
    "table.tsv": (lambda path: files.write_table(pd.DataFrame({"patient": ["a", "b"]}), path), files.read_table),
    "table.csv": (lambda path: files.write_table(pd.DataFrame({"patient": ["a", "b"]}), path), files.read_table),
    "array.npy": (lambda path: files.write_array(np.ones((3, 8, 8)), path), files.read_array),
    "chunks.npy": (chunks, files.read_array),
    "arrays.npz": (lambda path: files.write_arrays({"nearest": np.ones(8)}, path), files.read_arrays),
    "spec.yaml": (lambda path: files.write_yaml({"kind": "vae"}, path), files.read_yaml),
    "weights.safetensors": (lambda path: save_tensors({"a": torch.ones(8)}, path), checksums.checked),
}


def flip(path: Path, position: int = -3) -> None:
    """One other bit, at the size and the time that the file has."""
    found, content = path.stat(), bytearray(path.read_bytes())
    content[position] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_is_noticed_before_the_file_is_used(name, tmp_path):
    write, read = KINDS[name]
    write(tmp_path / name)
    read(tmp_path / name)
    flip(tmp_path / name)
    with pytest.raises(ValueError) as error:
        read(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: isn't what was written there (its checksum differs)")


def test_a_file_written_again_is_another_file(tmp_path):
    path = tmp_path / "array.npy"
    for value in (1, 2):
        files.write_array(np.full((2, 2), value), path)
        assert files.read_array(path)[0, 0] == value
        path.unlink()  # as Snakemake does before a job, which knows nothing of the note
    assert checksums.note_of(path).exists()


def test_what_nobody_noted_is_taken_as_it_is(tmp_path):
    files.write_table(pd.DataFrame({"a": [1]}), tmp_path / "copied.csv")
    checksums.note_of(tmp_path / "copied.csv").unlink()
    (tmp_path / "copied.csv").write_text("a\n2\n")
    assert files.read_table(tmp_path / "copied.csv")["a"].tolist() == [2]


def test_a_table_that_people_fill_in_may_differ(tmp_path):
    files.write_table(pd.DataFrame({"pair": [1], "answer": [""]}), tmp_path / "answers.csv")
    (tmp_path / "answers.csv").write_text("pair,answer\n1,copy\n")
    assert files.read_given(tmp_path / "answers.csv")["answer"].tolist() == ["copy"]


@pytest.mark.parametrize("stop", range(4))
def test_a_process_killed_between_two_steps_leaves_a_file_that_can_be_read(stop, tmp_path, monkeypatch):
    """The old one or the new one, whatever was done of replacing both it and its note."""
    path = tmp_path / "array.npy"
    files.write_array(np.zeros((2, 2)), path)
    steps = []

    def stopping(step):
        def call(*arguments, **settings):
            if len(steps) == stop:
                raise KeyboardInterrupt
            steps.append(step)
            return step(*arguments, **settings)

        return call

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(os, "replace", stopping(os.replace))
        patch.setattr(Path, "unlink", stopping(Path.unlink))
        patch.setattr(Path, "write_bytes", stopping(Path.write_bytes))
        files.write_array(np.ones((2, 2)), path)
    assert len(steps) == stop
    assert np.array(files.read_array(path)).tolist() in ([[0, 0], [0, 0]], [[1, 1], [1, 1]])


def test_what_a_killed_process_left_unfinished_is_removed_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    start = f".array.npy.{checksums.HOST}-"
    kept = [f"{start}{os.getppid()}", f".array.npy.other-{dead.pid}", f".array.npy.x.{checksums.HOST}-{dead.pid}"]
    for name in (*kept, f"{start}{dead.pid}", f".array.npy.sha256.{checksums.HOST}-{dead.pid}"):
        (tmp_path / name).write_text("half")
    files.write_array(np.ones((2, 2)), tmp_path / "array.npy")
    assert {path.name for path in tmp_path.iterdir()} == {"array.npy", ".array.npy.sha256", *kept}


def test_a_note_is_what_sha256sum_reads(tmp_path):
    files.write_array(np.ones((2, 2)), tmp_path / "array.npy")
    command = ["sha256sum", "--check", "--strict", ".array.npy.sha256"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 4, 4)])
def test_arrays_are_the_bytes_that_numpy_writes(shape, tmp_path):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    files.write_array(array, tmp_path / "ours.npy")
    np.save(tmp_path / "theirs.npy", array, allow_pickle=False)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_without_a_way_to_reserve_room_it_is_written_full(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with files.new_array(tmp_path / "array.npy", (3, 1000, 1000)) as array:
        array[1] = 1
    found = files.read_array(tmp_path / "array.npy")
    assert found.shape == (3, 1000, 1000) and found.sum() == 1e6
    assert (tmp_path / "array.npy").stat().st_blocks * 512 >= found.nbytes


FULL = """
import sys
sys.path.insert(0, {source!r})
from copylens.jobs.job import job
with job({log!r}, 1):
    import numpy as np
    from copylens.jobs import files
    {limit}
    with files.new_array({path!r}, (64, 128, 128)) as images:
        images[:] = 1
"""


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"can't mount a small file system, which takes root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, log: Path, limit: str = "") -> str:
    """What a job says that writes 4 MiB into `folder`."""
    code = FULL.format(source=str(ROOT / "src"), log=str(log), path=str(folder / "images.npy"), limit=limit)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1, f"ended with {done.returncode}: {done.stderr}"
    assert list(folder.iterdir()) == [] and "Traceback" in log.read_text()
    return done.stderr


def test_a_full_disk_is_one_sentence(small_disk, tmp_path):
    said = fill(small_disk, tmp_path / "log")
    why = "needs 4.0 MiB of disk space (No space left on device); make room"
    assert said == f"copylens: {small_disk}/images.npy: {why}\n"


def test_a_file_that_may_not_grow_is_one_sentence(tmp_path):
    (tmp_path / "out").mkdir()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))"
    said = fill(tmp_path / "out", tmp_path / "log", limit)
    assert said.startswith(f"copylens: {tmp_path}/out/images.npy: needs 4.0 MiB") and said.count("\n") == 1
