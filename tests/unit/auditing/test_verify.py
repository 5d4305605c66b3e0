"""Whether a folder's files are those of a report."""

import json

import pytest

from copylens.auditing.verify import verify
from copylens.data import source_files


@pytest.fixture
def audited(tmp_path):
    """Folders of training and synthetic files, and reports with their digests."""
    checksums = {}
    for part in ("training", "synthetic"):
        (tmp_path / part).mkdir()
        for number in range(3):
            (tmp_path / part / f"{number}.png").write_bytes(f"{part} {number}".encode())
        record = source_files.take({"root": str(tmp_path / part)}, ["*.png"], [], "")
        checksums[f"{part}_files"] = source_files.digest(record["files"])
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
