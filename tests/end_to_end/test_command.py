"""`copylens audit` of three folders: few lines, the right exit code, and reports about these very files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT

import copylens as copylens_package

SIZES = {"real": 24, "others": 44}
COPIES = 12


def copylens(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "import sys; from copylens.cli import main; sys.exit(main())", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The working directory and the finished command; the same file names in real/ and others/ are two patients."""
    folder, generator = tmp_path_factory.mktemp("three folders"), np.random.default_rng(0)
    for name, n in SIZES.items():
        (folder / name).mkdir()
        for number in range(n):
            values = generator.normal(size=(32, 32)).cumsum(0).cumsum(1)
            pixels = (255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "made").mkdir()
    for number in range(COPIES):
        shutil.copy(folder / "real" / f"{number}.png", folder / "made" / f"sample {number}.png")
    arguments = ["--training", "real", "--held-out", "others", "--synthetic", "./made", "--one-file-per-patient"]
    return folder, copylens(folder, "audit", *arguments, "-o", "out", "--cores", "2")


def test_replayed_files_fail_in_few_lines(audited):
    _, done = audited
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 25
    assert "training: 24 images of 24 patients" in done.stdout
    assert "nor with 44 held-out patients (132 would be enough)" in done.stdout
    assert any(line.startswith(f"FAIL: {COPIES} of {COPIES} synthetic images are, pixel by pixel") for line in lines)
    assert done.stderr == ""


def test_the_named_reports_are_there(audited):
    folder, done = audited
    for label in ("To sign:", "To read:"):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(label)]
        assert (folder / line.removeprefix(label).split("  (")[0].strip()).is_file()


def test_a_changed_byte_is_seen(audited):
    folder, _ = audited
    report = "out/results/audits/release/public/report.html"
    assert copylens(folder, "verify", "made", report).returncode == 0
    file = folder / "made" / "sample 3.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    changed = copylens(folder, "verify", "made", report)
    file.write_bytes(whole)
    assert changed.returncode == 1
    assert "aren't those that report.html is about" in changed.stderr


def test_another_audit_is_refused_there_and_the_same_one_has_nothing_to_do(audited):
    folder, _ = audited
    arguments = [
        "--training",
        "real",
        "--held-out",
        "others",
        "--synthetic",
        "made",
        "--one-file-per-patient",
        "-o",
        "out",
    ]
    other = copylens(folder, "audit", *arguments, "--grid", "16", "16")
    assert (other.returncode, other.stdout) == (3, "")
    assert "out holds another audit" in other.stderr
    again = copylens(folder, "audit", *arguments)
    assert again.returncode == 1
    assert not any(line.startswith("[") for line in again.stdout.splitlines())


def test_the_function_gives_the_same_verdict_in_its_own_process(audited):
    folder, _ = audited
    verdict = copylens_package.audit(folder / "real", folder / "others", folder / "made", patients="each")
    by_command = json.loads((folder / "out/results/audits/release/public/verdict.json").read_text())
    assert verdict.details == by_command
