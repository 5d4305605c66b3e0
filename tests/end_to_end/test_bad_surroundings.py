"""A whole command where everything around it is bad: the result is the same, or one sentence says what to do."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT

import copylens as copylens_package

LONG = "ü" * 121  # with a number and an ending 250 bytes, nearly the longest name that a file can have
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
BAD = ASCII | {"HOME": "/proc", "TMPDIR": "/nowhere"}
UNSET = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")


def copylens(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    code = "import sys; from copylens.cli import main; sys.exit(main())"
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment |= {"PYTHONPATH": str(ROOT / "src"), **variables}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, encoding="utf-8", env=environment
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """real/, Größen/ far below, and made/, which repeats images of real/ under names of 250 bytes."""
    folder, generator = tmp_path_factory.mktemp("Müller"), np.random.default_rng(0)
    images = np.cumsum(np.cumsum(generator.normal(size=(30, 16, 16)), axis=1), axis=2)
    low, high = (extreme(axis=(1, 2), keepdims=True) for extreme in (images.min, images.max))
    pixels = (255 * (images - low) / (high - low)).astype(np.uint8)
    for name, rows in (("real", range(8)), (f"{'d' * 250}/Größen", range(8, 30)), ("made", range(6))):
        (folder / name).mkdir(parents=True)
        for row in rows:
            PIL.Image.fromarray(pixels[row]).save(folder / name / f"{LONG}{row:04d}.png")
    return folder


def test_an_audit_in_bad_surroundings_has_the_usual_verdict(folders):
    real, others, made, out = "real", f"{'d' * 250}/Größen", "made", f"{'o' * 250}/ausgäbe"
    sets = ["--training", real, "--held-out", others, "--synthetic", made, "--one-file-per-patient"]
    done = copylens(folders, "audit", *sets, "-o", out, "--cores", "1", **BAD)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout + done.stderr
    assert "FAIL: 6 of 6 synthetic images are, pixel by pixel" in done.stdout
    audit = folders / out / "results" / "audits" / "release"
    found = json.loads((audit / "public" / "verdict.json").read_text(encoding="utf-8"))
    usual = copylens_package.audit(folders / real, folders / others, folders / made, patients="each")
    assert usual.details == found
    assert f"{LONG}0003.png" in (audit / "restricted" / "samples.tsv").read_text(encoding="utf-8")


def test_a_plan_reads_a_policy_in_utf8_in_every_locale(tmp_path):
    (tmp_path / "für uns.yaml").write_text("copies: 0.1  # höchstens\n", encoding="utf-8")
    bad, usual = (copylens(tmp_path, "plan", "--policy", "für uns.yaml", **some) for some in (BAD, {}))
    assert bad.returncode == 0 and (bad.stdout, bad.stderr) == (usual.stdout, usual.stderr)


def test_a_mistake_is_one_line_in_every_locale(tmp_path):
    (tmp_path / "für uns.yaml").write_bytes("copies: 0.1  # höchstens\n".encode("latin-1"))
    done = copylens(tmp_path, "plan", "--policy", "für uns.yaml", **BAD)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("copylens: --policy: für uns.yaml can't be read as YAML")


def test_without_room_for_temporary_files_an_audit_of_arrays_is_one_sentence(tmp_path, monkeypatch):
    images = np.random.default_rng(0).normal(size=(30, 512, 512)).astype(np.float32)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, before[1]))
    said = r"/training/000000\.npy: needs 1\.0 MiB of disk space .+; make room"
    try:
        with pytest.raises(OSError, match=said) as error:
            copylens_package.audit(images[:10], images[10:20], images[20:], patients="each")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path) in str(error.value)
    assert list(tmp_path.iterdir()) == []
