"""What leaves an audit holds no patient: names, ids and paths of real files are looked for, byte by byte."""

import csv
import os
import re
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
import yaml
from conftest import ROOT

HOSTILE = ["<img src=x onerror=alert(1)>", "=HYPERLINK(1)", "line\nbreak", "plain"]
IDENTITIES = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
)


@pytest.fixture(scope="module")
def audited(real_images, tmp_path_factory) -> Path:
    """An audit of files with hostile names against NIH chest X-rays, and DICOM series listed beside it."""
    folder, data = tmp_path_factory.mktemp("audited"), tmp_path_factory.mktemp("data")
    for name in ("nih_chestxray", "dicom_hippocampus"):
        (data / name).symlink_to(real_images / name)
    (data / "synthetic").mkdir()
    real = sorted((real_images / "nih_chestxray").rglob("*.png"))
    for number, name in enumerate(HOSTILE * 5):
        # Some are patients, some are noise; none has its file's bytes.
        target = data / "synthetic" / f"{name} {number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        image = PIL.Image.open(real[number]).resize((128, 128)) if number % 2 else PIL.Image.fromarray(noise)
        image.convert("L").save(target)
    split = {"train": 60, "calibration": 60, "control": 60, "scans_per_patient": 1}
    config = {
        "datasets": {
            "nih": {"reader": "nih_chestxray14", "root": "nih_chestxray", "about": ["Finding Labels"], "grid": [16, 16]}
            | {"split": split},
            "made": {"reader": "image_folder", "root": "synthetic", "grid": [16, 16]},
            "series": {"reader": "dicom_series", "root": "dicom_hippocampus", "grid": [8, 8, 8]},
        },
        "detectors": {
            "pixels": {"kind": "pixel_correlation"},
            "distance": {"kind": "pixel_l2_ratio"},
            "random": {"kind": "random_features", "channels": [8, 8, 8, 8], "features": 16},
        },
        "audits": {
            "given": {
                **{"training": "nih", "synthetic": {"dataset": "made"}, "detectors": ["pixels", "distance", "random"]},
                **{"planted": {"copies": 20}, "policy": {"transforms": ["identity", "noise"]}},
            }
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(path), "--cores", "1", "audits", "results/data/series/scans.tsv"]
    environment = os.environ | {"COPYLENS_DATA": str(data)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


def shown(path: Path) -> bytes:
    """A file's bytes, and those of the streams that a PDF compresses; without the PDF's table of where things stand."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        content = re.sub(rb"\d{10} \d{5} [nf]", b"", content)
        for start in re.finditer(rb"stream\r?\n", content):
            try:
                content += zlib.decompressobj().decompress(path.read_bytes()[start.end() :])
            except zlib.error:
                continue
    return content


def leaving(results: Path) -> list[Path]:
    """What may leave: the public folder, the logs, and the tables outside of restricted folders."""
    everything = [path for path in results.rglob("*") if path.is_file() and "restricted" not in path.parts]
    return [path for path in everything if path.suffix != ".npy"]


def test_no_name_id_or_path_of_a_real_file_leaves(audited, real_images):
    secrets = {path.stem for path in (real_images / "nih_chestxray").rglob("*.png")}
    secrets |= {stem.split("_")[0] for stem in secrets}
    for path in (real_images / "dicom_hippocampus").rglob("*"):
        if path.is_file():
            secrets.add(path.stem)
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            secrets |= {str(header.get(name, "")) for name in IDENTITIES}
    secrets |= {str(real_images), "nih_chestxray/images"}
    # What is shorter turns up by chance.
    secrets = {secret.encode() for secret in secrets if len(secret) > 5}
    assert len(secrets) > 500
    files = leaving(audited)
    assert {path.name for path in files} >= {"report.html", "report.pdf", "verdict.json", "samples.csv", "scans.tsv"}
    for path in files:
        content = shown(path)
        leaked = [secret for secret in secrets if secret in content]
        assert not leaked, f"{path.name}: {leaked[:3]}"


def test_no_synthetic_file_name_and_no_image_is_public(audited):
    for path in (audited / "audits" / "given" / "public").iterdir():
        content = shown(path)
        assert b"HYPERLINK" not in content
        assert b"onerror" not in content
    page = (audited / "audits" / "given" / "public" / "report.html").read_text()
    assert "data:image" not in page.split("</head>")[1]
    assert "<img" not in page


def test_patients_are_keyed_pseudonyms_in_public_tables(audited):
    with (audited / "audits" / "given" / "public" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert all(re.fullmatch("P-[0-9a-f]{8}", row["patient_pixels"]) for row in rows)


def test_names_never_become_html_nor_formulas(audited):
    page = (audited / "audits" / "given" / "restricted" / "report.html").read_text()
    assert "<img src=x" not in page
    table = (audited / "audits" / "given" / "restricted" / "samples.tsv").read_text()
    assert not re.search(r"(^|\t)=", table, flags=re.MULTILINE)


def test_everything_restricted_lies_in_one_folder_of_its_owner(audited):
    audit = audited / "audits" / "given"
    assert {path.name for path in audit.iterdir()} == {"public", "restricted"}
    assert stat.S_IMODE((audit / "restricted").stat().st_mode) == 0o700
    assert "Nothing in it may leave" in (audit / "restricted" / "README.txt").read_text()


def test_the_rest_are_links_to_the_files_that_are_not_withheld(audited):
    rest = audited / "audits" / "given" / "restricted" / "rest"
    kept = [path for path in (rest / "files").iterdir()] if (rest / "files").exists() else []
    with (rest / "list.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(kept) == sum(row["withheld"] == "False" for row in rows)
    assert all(path.is_symlink() and path.exists() for path in kept)
