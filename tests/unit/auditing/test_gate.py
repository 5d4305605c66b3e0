"""The verdict as an exit code, and only about the files that were audited."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest
from audit_cases import POLICY, evidence, of_share, whole
from conftest import ROOT

from copylens.auditing.gate import SCHEMA, gate
from copylens.auditing.verdict import judge, to_json
from copylens.cli import main
from copylens.data import source_files
from copylens.jobs import checksums


def written(verdict: dict, folder: Path) -> Path:
    """The folder of an audit whose training and synthetic images are files below the folders of these names."""
    records = {}
    for part in ("training", "synthetic"):
        (folder / part).mkdir()
        for number in range(4):
            (folder / part / f"{number}.png").write_bytes(bytes([number] * 9))
        records[part] = folder / part / "files.json"
        source_files.write(source_files.take({"root": str(folder / part)}, ["*.png"], [], ""), records[part])
    verdict["provenance"]["checksums"] |= source_files.freeze(records, folder / "audit" / "restricted" / "files.json")
    write_text(to_json(verdict), folder / "audit" / "public" / "verdict.json")
    return folder / "audit"


def write_text(text: str, path: Path) -> None:
    with checksums.whole(path) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize(
    ("share", "n_calibration", "code"), [(0.0, 120, 0), (1.0, 120, 1), (0.0, 20, 2)], ids=["pass", "fail", "unable"]
)
def test_the_gate_tells_pipelines(share, n_calibration, code, tmp_path, capsys):
    verdict = whole(judge(evidence(of_share(share), n_calibration=n_calibration), POLICY, None))
    assert main(["gate", str(written(verdict, tmp_path))]) == code
    assert verdict["verdict"] in capsys.readouterr().out


def _overwritten(folder: Path) -> str:
    for number in range(2):
        (folder / "synthetic" / f"{number}.png").write_bytes(b"another image")
    return "2 of 4 synthetic files aren't those that were audited, such as 0.png"


def _of_the_same_size_and_date(folder: Path) -> str:
    path = folder / "training" / "3.png"
    before = path.stat()
    path.write_bytes(bytes([7] * 9))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return "1 of 4 training files isn't what was audited, such as 3.png"


def _added(folder: Path) -> str:
    (folder / "synthetic" / "new.png").write_bytes(b"a new image")
    return "1 of 5 synthetic files isn't what was audited, such as new.png"


def _renamed(folder: Path) -> str:
    (folder / "training" / "0.png").rename(folder / "training" / "9.png")
    return "1 of 5 training files is gone, such as 0.png"


def _folder_gone(folder: Path) -> str:
    shutil.rmtree(folder / "training")
    return "the training files' folder isn't there"


def _another_record(folder: Path) -> str:
    path = folder / "audit" / "restricted" / "files.json"
    parts = source_files.read(path)
    parts["synthetic"]["files"]["0.png"][-1] = "0" * 64
    source_files.write(parts, path)
    return "files.json belongs to another verdict"


def _no_record(folder: Path) -> str:
    (folder / "audit" / "restricted" / "files.json").unlink()
    return "files.json is missing"


def _record_cut_short(folder: Path) -> str:
    (folder / "audit" / "restricted" / "files.json").write_text("[")
    return "files.json can't be read"


CHANGES = [
    *(_overwritten, _of_the_same_size_and_date, _added, _renamed, _folder_gone),
    *(_another_record, _no_record, _record_cut_short),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_verdict_is_none_about_other_files(change, tmp_path):
    folder = written(whole(judge(evidence(of_share(0.0)), POLICY, None)), tmp_path)
    assert gate(folder)[0] == 0
    expected = change(tmp_path)
    code, message = gate(folder)
    assert code == 3 and expected in message and message.endswith("audit them with: snakemake audits")


def test_a_verdict_stays_when_files_get_another_date(tmp_path):
    folder = written(whole(judge(evidence(of_share(0.0)), POLICY, None)), tmp_path)
    for path in (tmp_path / "synthetic").iterdir():
        os.utime(path, (1, 1))
    (tmp_path / "synthetic" / "notes.txt").write_text("no image of the data set")
    assert gate(folder)[0] == 0


def test_a_verdict_that_somebody_edited_is_none(tmp_path):
    folder = written(whole(judge(evidence(of_share(1.0)), POLICY, None)), tmp_path)
    path = folder / "public" / "verdict.json"
    path.write_text(path.read_text().replace('"FAIL"', '"PASS"'))
    code, message = gate(folder)
    assert code == 3 and "verdict.json: isn't what was written there" in message


def test_without_the_schema_the_gate_says_so(tmp_path, monkeypatch):
    folder = written(whole(judge(evidence(of_share(0.0)), POLICY, None)), tmp_path)
    monkeypatch.setattr("copylens.auditing.gate.SCHEMA", tmp_path / "verdict.schema.yaml")
    code, message = gate(folder)
    assert code == 3 and "verdict.schema.yaml: can't be read" in message and "no verdict" not in message


def test_the_schemas_and_the_workflow_are_parts_of_the_package():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert any(SCHEMA.is_relative_to(ROOT / package) for package in wheel["packages"])
    for name in ("Snakefile", "config.yaml", "rules", "workflow", "profiles"):
        assert (ROOT / name).exists()
        assert wheel["force-include"][name] == f"copylens/pipeline/{name}"


@pytest.mark.parametrize("text", [None, "", "{", "{}", '{"verdict": "PASS"}'])
def test_the_gate_lets_nothing_broken_pass(text, tmp_path):
    if text is not None:
        (tmp_path / "public").mkdir()
        (tmp_path / "public" / "verdict.json").write_text(text)
    code, message = gate(tmp_path)
    assert code == 3
    assert "make it" in message


def test_a_wrong_command_is_an_error_and_not_a_verdict():
    assert main(["gate"]) == 3
    assert main(["gates", "x"]) == 3
