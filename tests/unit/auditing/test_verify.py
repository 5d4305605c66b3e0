"""Whether a folder's files are those of a report."""

import hashlib
import json
import subprocess

import pytest

from copylens.auditing.sums import checksums_below
from copylens.auditing.verify import verify
from copylens.data import source_files
from copylens.jobs.checksums import digest, sums


@pytest.fixture
def audited(tmp_path):
    """Folders of training and synthetic files, and reports with their digests."""
    checksums = {}
    for part in ("training", "synthetic"):
        (tmp_path / part).mkdir()
        for number in range(3):
            (tmp_path / part / f"{number}.png").write_bytes(f"{part} {number}".encode())
        record = source_files.take({"root": str(tmp_path / part)}, ["*.png"], [], "")
        checksums[f"{part}_files"] = digest(record["files"])
    (tmp_path / "verdict.json").write_text(json.dumps({"provenance": {"checksums": checksums}}))
    rows = [
        f"<tr><td>SHA-256, {name.replace('_', ' ')}</td>\n<td>{digest}</td></tr>" for name, digest in checksums.items()
    ]
    (tmp_path / "report.html").write_text("".join(rows))
    return tmp_path


@pytest.mark.parametrize("report", ["verdict.json", "report.html"])
def test_the_synthetic_files_and_no_others_are_the_audited_ones(audited, report):
    assert verify(audited / "synthetic", audited / report)[0]
    same, text = verify(audited / "training", audited / report)
    assert not same and "are the training ones" in text
    (audited / "synthetic" / "more.txt").write_text("one file more")
    same, text = verify(audited / "synthetic", audited / report)
    assert not same and "every file below it counts" in text


@pytest.fixture
def released(tmp_path):
    """A folder to release, and the report of its audit."""
    folder = tmp_path / "rest" / "files"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "back\\slash.png", "line\nbreak.png"):
        (folder / name).write_bytes(name.encode())
    listed = sums(checksums_below(folder)).encode()
    (folder / "SHA256SUMS").write_bytes(listed)
    words = f"The SHA-256 of its file SHA256SUMS is {hashlib.sha256(listed).hexdigest()}."
    (tmp_path / "report.html").write_text(words)
    return folder, tmp_path / "report.html"


def test_a_released_folder_is_the_one_of_the_report(released):
    folder, report = released
    assert verify(folder, report)[0]
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "sub" / "b.png").write_bytes(b"sub/b.pnG"),
        lambda folder: (folder / "a.png").unlink(),
        lambda folder: (folder / "sub" / "SHA256SUMS").write_text("more"),
        lambda folder: (folder / "SHA256SUMS").write_text((folder / "SHA256SUMS").read_text().lower() + " "),
    ],
    ids=["one byte", "a file less", "a file more", "another list"],
)
def test_one_change_in_a_released_folder_is_seen(released, change):
    folder, report = released
    change(folder)
    same, text = verify(folder, report)
    assert not same and "report.html is about" in text


def test_a_report_that_lets_nothing_go_names_no_folder(released):
    folder, report = released
    report.write_text("Nothing: this audit gives no ground to release any of the samples.")
    with pytest.raises(ValueError, match="has no digest of SHA256SUMS"):
        verify(folder, report)
