"""On the command line: one error that names the file or the key, exit code not 0, nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT
from PIL import Image


@pytest.fixture
def config() -> dict:
    """The tiny configuration on a folder of PNG files."""
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    config["datasets"]["chest"] = {
        "reader": "image_folder",
        "root": "raw",
        "patient": r"p(\d+)",
        "grid": [16, 16],
        "split": {"train": 2, "calibration": 20, "control": 2},
    }
    return config


@pytest.fixture
def raw(tmp_path) -> Path:
    """Readable PNG files of 24 patients, one each."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def run(tmp_path: Path, config: dict, target: str) -> subprocess.CompletedProcess:
    """Snakemake with `config`, working in `tmp_path`."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(tmp_path / "config.yaml"), "--cores", "1", target]
    environment = os.environ | {"COPYLENS_DATA": str(tmp_path)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def said(done: subprocess.CompletedProcess) -> list[str]:
    """The lines in which copylens itself says what is wrong."""
    text = done.stdout + done.stderr
    return [line for line in text.splitlines() if line.startswith("copylens: ") or "configuration: " in line]


def files(folder: Path) -> list[str]:
    """What is in results/ but logs, and what is kept of files beside them."""
    found = [path for path in (folder / "results").rglob("[!.]*") if path.is_file()]
    return [path.name for path in found if not {"logs", "restricted"} & set(path.parts)]


def test_good_input_is_split(tmp_path, raw, config):
    done = run(tmp_path, config, "results/data/chest/splits.tsv")
    assert done.returncode == 0 and sorted(files(tmp_path)) == ["scans.tsv", "splits.tsv"]


def test_a_table_gives_patients_and_their_split(tmp_path, raw, config):
    roles = ["train"] * 2 + ["calibration"] * 20 + ["control"]
    lines = [f"p{number}.png,Jane Doe {number},{role},Bern" for number, role in enumerate(roles)]
    (raw / "patients.csv").write_text("\n".join(["path,patient,split,site", *lines]))
    for key in ("patient", "split"):
        del config["datasets"]["chest"][key]
    config["datasets"]["chest"] |= {"table": "patients.csv", "about": ["site"]}
    done = run(tmp_path, config, "results/data/chest/splits.tsv")
    assert done.returncode == 0, done.stdout + done.stderr
    scans, splits = ((tmp_path / "results/data/chest" / name).read_text() for name in ("scans.tsv", "splits.tsv"))
    assert scans.splitlines()[0] == "scan\tpatient\tshape\tchecksum\tsplit\tabout_site"
    assert "Jane" not in scans and splits.count("calibration") == 20 and len(splits.splitlines()) == 24
    again = run(tmp_path, config, "results/data/chest/splits.tsv")
    assert "Nothing to be done" in again.stdout + again.stderr
    (raw / "patients.csv").write_text("\n".join(["path,patient,split,site", *lines[:-1], "p22.png,x,test,Bern"]))
    done = run(tmp_path, config, "results/data/chest/splits.tsv")
    assert done.returncode != 0 and "patients.csv: gives p22.png the split 'test'" in said(done)[0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: (raw / "p3.png").write_bytes(b"\x89PNG broken"), "p3.png: can't be read as an image"),
        (lambda raw: Image.new("L", (16, 16), 9).save(raw / "p3.png"), "p3.png: every pixel has the same value"),
        (lambda raw: (raw / "p3.png").rename(raw / "scout.png"), "doesn't match the file scout.png"),
        (lambda raw: [path.unlink() for path in raw.iterdir()], "matches the pattern"),
    ],
)
def test_a_bad_file_is_one_error(tmp_path, raw, config, damage, message):
    damage(raw)
    done = run(tmp_path, config, "results/data/chest/scans.tsv")
    assert done.returncode != 0
    assert len(said(done)) == 1 and message in said(done)[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "shown"), [("p3\n\x1b[31m.png", r"p3\n\x1b[31m.png"), (os.fsdecode(b"p3\xff.png"), r"p3\udcff.png")]
)
def test_an_error_is_one_line_whatever_a_file_is_called(tmp_path, raw, config, name, shown):
    (raw / "p3.png").write_bytes(b"\x89PNG broken")
    (raw / "p3.png").rename(raw / name)
    done = run(tmp_path, config, "results/data/chest/scans.tsv")
    assert done.returncode != 0
    assert said(done) == [f"copylens: {shown}: can't be read as an image; a whole PNG, JPEG or TIFF is needed"]


def test_too_few_patients_is_one_error(tmp_path, raw, config):
    config["datasets"]["chest"]["split"]["train"] = 5
    done = run(tmp_path, config, "results/data/chest/splits.tsv")
    assert done.returncode != 0 and files(tmp_path) == ["scans.tsv"]
    assert said(done) == [
        "copylens: split: asks for 5 train + 20 calibration + 2 control = 27 patients, but the data set has 24"
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("models", "ldm", "chanels"), [8], "models.ldm.chanels: unknown key; did you mean 'channels'?"),
        (("models", "ldm", "training", "steps"), "ten", "models.ldm.training.steps: must be integer, not 'ten'"),
        (("models", "ldm", "kind"), "diffuser", "models.ldm.kind: unknown model 'diffuser'"),
        (("studies", "tiny", "datasets"), ["brain"], "studies.tiny.datasets[0]: no entry 'brain'"),
        (("models", "ldm", "autoencoder", "model"), "vq", "models.ldm.autoencoder.model: no entry 'vq'"),
    ],
)
def test_a_bad_key_is_one_error_before_anything_runs(tmp_path, raw, config, path, value, message):
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    done = run(tmp_path, config, "results/data/chest/scans.tsv")
    assert done.returncode != 0
    assert len(said(done)) == 1 and message in said(done)[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert files(tmp_path) == []
