"""The names of notes and unfinished files, and a disk that is full when a file is nearly written."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copylens.jobs import checksums, files

LONG = ["ü" * 125, "a" * 251 + ".npy", f"{os.fsdecode(bytes([255]))}{'x' * 249}.npy"]


@pytest.mark.parametrize("name", LONG)
def test_a_name_of_250_bytes_leaves_room_for_its_note(name, tmp_path):
    path = tmp_path / name
    for value in (1, 2):
        files.write_array(np.full((2, 2), value), path)
        assert float(files.read_array(path)[0, 0]) == value
    assert {file.name for file in tmp_path.iterdir()} == {name, checksums.note_of(path).name}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="its checksum differs"):
        checksums.checked(path)


def test_two_long_names_have_two_notes(tmp_path):
    one, other = (tmp_path / f"{'a' * 250}{number}" for number in (1, 2))
    assert checksums.note_of(one) != checksums.note_of(other)
    assert checksums.unfinished(one) != checksums.unfinished(other)


def test_a_table_keeps_file_names_that_are_no_utf8(tmp_path):
    names = [os.fsdecode(b"scan \xff.png"), "Müller.png"]
    files.write_table(pd.DataFrame({"file": names}), tmp_path / "samples.tsv")
    assert files.read_table(tmp_path / "samples.tsv")["file"].tolist() == names
    assert b"scan \xff.png\n" in (tmp_path / "samples.tsv").read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_gets_full_is_one_sentence_about_the_file(number, tmp_path):
    path = tmp_path / "losses.csv"
    said = rf"{re.escape(str(path))}: can't be written \(.+\); make room"
    with pytest.raises(OSError, match=said), checksums.whole(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_its_note_the_file_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "spec.yaml"
    files.write_yaml({"kind": "vae"}, path)
    before = sorted(tmp_path.iterdir())

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match=r"spec\.yaml: can't be written"):
            files.write_yaml({"kind": "gan"}, path)
    assert sorted(tmp_path.iterdir()) == before
    assert files.read_yaml(path) == {"kind": "vae"}
