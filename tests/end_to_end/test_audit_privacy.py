"""What leaves an audit holds no patient: names, ids and paths of real files are looked for, byte by byte."""

import contextlib
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
import pypdf
import pytest
import yaml
from conftest import ROOT
from reader_examples import save_slice
from scipy import ndimage
from watched_imports import undeclared, watching

from copylens.auditing.gate import gate

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
def folders(real_images, tmp_path_factory) -> Path:
    """COPYLENS_DATA of two audits: of files with hostile names against NIH chest X-rays, and of DICOM series.

    The series' training patients are real ones, beyond a link, and drawn ones with names; of their synthetic patients
    the first four repeat drawn training patients.
    """
    data = tmp_path_factory.mktemp("data")
    (data / "nih_chestxray").symlink_to(real_images / "nih_chestxray")
    (data / "synthetic").mkdir()
    real = sorted((real_images / "nih_chestxray").rglob("*.png"))
    for number, name in enumerate(HOSTILE * 5):
        # Some are patients, some are noise; none has its file's bytes.
        target = data / "synthetic" / f"{name} {number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        image = PIL.Image.open(real[number]).resize((128, 128)) if number % 2 else PIL.Image.fromarray(noise)
        image.convert("L").save(target)
    for name, people in SERIES.items():
        for number in people:
            volume = ndimage.gaussian_filter(np.random.default_rng(number % 100).normal(size=(10, 10, 10)), 1.5)
            pixels = np.round(4000 * (volume - volume.min()) / np.ptp(volume)).astype(np.int16)
            for height, plane in enumerate(pixels + number // 100):  # copies aren't the same to the bit
                save_slice(data / name / f"{surname(number)}_scan" / f"{height}.dcm", plane, **header(number, height))
    (data / "series" / "real").symlink_to(real_images / "dicom_hippocampus")
    return data


SERIES = {"series": range(8), "series_others": range(10, 26), "series_made": [*range(100, 104), *range(40, 46)]}


def surname(number: int) -> str:
    return f"Mustermann{number:03}"


def header(number: int, height: int) -> dict:
    """What a scanner writes about somebody into each slice."""
    return {
        "PatientName": f"{surname(number)}^Erika",
        "PatientID": f"MRN-{number:03}-77",
        "PatientBirthDate": f"19{number % 100:02}0229",
        "AccessionNumber": f"ACC{number:03}-4711",
        "StudyInstanceUID": f"1.2.840.99.{number + 1}",
        "SeriesInstanceUID": f"1.2.840.99.{number + 1}.5",
        "ImagePositionPatient": [0, 0, 2.0 * height],
    }


@pytest.fixture(scope="module")
def audited(folders, tmp_path_factory) -> Path:
    """The results of both audits, `given` and `volumes`."""
    folder = tmp_path_factory.mktemp("audited")
    split = {"train": 60, "calibration": 60, "control": 60, "scans_per_patient": 1}
    series = {"reader": "dicom_series", "grid": [8, 8, 8]}
    few = {"planted": {"copies": 20}, "policy": {"transforms": ["identity", "noise"]}}
    config = {
        "datasets": {
            "nih": {"reader": "nih_chestxray14", "root": "nih_chestxray", "about": ["Finding Labels"], "grid": [16, 16]}
            | {"split": split},
            "made": {"reader": "image_folder", "root": "synthetic", "grid": [16, 16]},
            "series": series | {"root": "series", "outside_links": True},
            "series_others": series | {"root": "series_others"},
            "series_made": series | {"root": "series_made"},
        },
        "detectors": {
            "pixels": {"kind": "pixel_correlation"},
            "distance": {"kind": "pixel_l2_ratio"},
            "random": {"kind": "random_features", "channels": [8, 8, 8, 8], "features": 16},
        },
        "audits": {
            "given": {
                **{"training": "nih", "synthetic": {"dataset": "made"}, "detectors": ["pixels", "distance", "random"]},
                **few,
            },
            "volumes": {
                **{"training": "series", "held_out": "series_others", "synthetic": {"dataset": "series_made"}},
                **{"detectors": ["pixels", "distance", "random"]},
                **few,
            },
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    run_audits(folder, folders, **watching(folder / "watched"))
    return folder / "results"


def run_audits(folder: Path, data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Snakemake on the audits of the configuration in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", "1", "audits", *arguments]
    environment = os.environ | environment | {"COPYLENS_DATA": str(data)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def shown(path: Path) -> bytes:
    """A file's bytes, and of a PDF the text of its pages, what it says about itself and its decompressed streams.

    Without the PDF's table of where things stand.
    """
    content = path.read_bytes()
    if path.suffix == ".pdf":
        # Kerning cuts words to pieces in the streams.
        reader = pypdf.PdfReader(path)
        text = [page.extract_text() for page in reader.pages]
        about = [str(value) for value in (reader.metadata or {}).values()] + [str(reader.xmp_metadata or "")]
        content = re.sub(rb"\d{10} \d{5} [nf]", b"", content) + "\n".join(text + about).encode()
        for start in re.finditer(rb"stream\r?\n", path.read_bytes()):
            with contextlib.suppress(zlib.error):
                content += zlib.decompressobj().decompress(path.read_bytes()[start.end() :])
    return content


def identities(folder: Path) -> set[str]:
    """Names, ids, dates and paths in the headers and the file names of DICOM files."""
    found = set()
    for path in folder.rglob("*"):
        found |= {path.name, path.stem}
        if path.is_file():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            found |= {str(dataset.get(name, "")) for name in IDENTITIES}
            found |= set(str(dataset.get("PatientName", "")).split("^"))
    return found


def leaving(results: Path) -> list[Path]:
    """What may leave: the public folder, the logs, and the tables outside of restricted folders."""
    everything = [path for path in results.rglob("*") if path.is_file() and "restricted" not in path.parts]
    return [path for path in everything if path.suffix != ".npy"]


def test_no_name_id_or_path_of_a_real_file_leaves(audited, folders, real_images):
    secrets = {path.stem for path in (real_images / "nih_chestxray").rglob("*.png")}
    secrets |= {stem.split("_")[0] for stem in secrets}
    secrets |= identities(real_images / "dicom_hippocampus")
    drawn = {name for folder in SERIES for name in identities(folders / folder)}
    assert {"Mustermann003^Erika", "Mustermann103", "MRN-012-77", "1.2.840.99.43.5", "ACC101-4711"} <= drawn
    secrets |= drawn | {str(real_images), str(folders), "nih_chestxray/images"}
    # What is shorter turns up by chance.
    secrets = {secret.encode() for secret in secrets if len(secret) > 5}
    assert len(secrets) > 500
    files = leaving(audited)
    assert {path.name for path in files} >= {"report.html", "report.pdf", "verdict.json", "samples.csv", "scans.tsv"}
    for path in files:
        content = shown(path)
        leaked = [secret for secret in secrets if secret in content]
        assert not leaked, f"{path.name}: {leaked[:3]}"


def test_rules_declare_all_code_that_an_audits_jobs_load(audited):
    rules, missing = undeclared(audited.parent / "watched")
    assert missing == [] and {"pool_images", "measure_kind", "compare_audit", "judge_audit", "report_audit"} <= rules


def test_a_pdf_is_searched_as_somebody_reads_it(audited):
    """The restricted report says which files are copies: what isn't found there wouldn't be found in the public one."""
    content = shown(audited / "audits" / "volumes" / "restricted" / "report.pdf")
    assert b"Mustermann101_scan" in content and b"RESTRICTED" in content.upper()


def test_no_synthetic_file_name_and_no_image_is_public(audited):
    for path in (audited / "audits" / "given" / "public").iterdir():
        content = shown(path)
        assert b"HYPERLINK" not in content
        assert b"onerror" not in content
    page = (audited / "audits" / "given" / "public" / "report.html").read_text()
    assert "data:image" not in page.split("</head>")[1]
    assert "<img" not in page


def test_the_public_table_says_nothing_of_a_sample_but_whether_it_is_withheld(audited):
    with (audited / "audits" / "given" / "public" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [str(number) for number in range(1, 21)]
    assert {tuple(row) for row in rows} == {("sample", "withheld")}
    assert {row["withheld"] for row in rows} <= {"True", "False"}


def test_no_similarity_of_a_sample_is_public(audited):
    audit = audited / "audits" / "given"
    with (audit / "restricted" / "samples.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    similarities = {f"{abs(float(row[name])):.4g}" for row in rows for name in row if name.startswith("similarity_")}
    similarities = {number.encode() for number in similarities if len(number) >= 6}
    assert len(similarities) >= 20
    for path in (audit / "public").iterdir():
        # Drawn coordinates aren't numbers that are written.
        content = re.sub(rb'\b(d|points|transform|viewBox)="[^"]*"', b"", path.read_bytes())
        if path.suffix == ".pdf":
            content = "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages).encode()
        assert not [number for number in similarities if number in content], path.name
    assert b"<script" not in (audit / "public" / "report.html").read_bytes()


def test_names_never_become_html_nor_formulas(audited):
    page = (audited / "audits" / "given" / "restricted" / "report.html").read_text()
    assert "<img src=x" not in page
    table = (audited / "audits" / "given" / "restricted" / "samples.tsv").read_text()
    assert not re.search(r"(^|\t)=", table, flags=re.MULTILINE)


def test_copies_are_withheld_and_no_file_lies_ready_for_release(audited, folders):
    """Neither audit passes, and neither rest does."""
    for audit, names in (("volumes", {f"{surname(number)}_scan" for number in SERIES["series_made"]}), ("given", None)):
        rest = audited / "audits" / audit / "restricted" / "rest"
        with (rest / "list.tsv").open(newline="") as file:
            withheld = {row["file"]: row["withheld"] == "True" for row in csv.DictReader(file, delimiter="\t")}
        if names is None:
            assert len(withheld) == len(list((folders / "synthetic").iterdir()))
        else:
            assert set(withheld) == names
            assert all(withheld[f"{surname(number)}_scan"] for number in range(100, 104)), "copies of patients"
        assert [path.name for path in (rest / "files").iterdir()] == ["SHA256SUMS"]


def test_everything_restricted_lies_in_one_folder_of_its_owner(audited):
    audit = audited / "audits" / "given"
    assert {path.name for path in audit.iterdir()} == {"public", "restricted"}
    assert stat.S_IMODE((audit / "restricted").stat().st_mode) == 0o700
    assert "Nothing in it may leave" in (audit / "restricted" / "README.txt").read_text()


def planned(audited: Path, folders: Path) -> set[str]:
    """The rules that a run of the audits would run."""
    done = run_audits(audited.parent, folders, "--dry-run")
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, flags=re.MULTILINE))


def test_other_images_under_the_same_names_are_no_verdict(audited, folders, monkeypatch):
    """Last, because it changes the files that were audited; it mends them."""
    monkeypatch.delenv("COPYLENS_DATA", raising=False)
    given, volumes = (gate(audited / "audits" / name) for name in ("given", "volumes"))
    assert given[0] != 3 and volumes[0] != 3 and planned(audited, folders) == set()
    target = next((folders / "synthetic").iterdir())
    before = target.read_bytes()
    target.write_bytes(next(path for path in (folders / "synthetic").iterdir() if path != target).read_bytes())
    code, said = gate(audited / "audits" / "given")
    assert code == 3 and "1 of 20 synthetic files isn't what was audited" in said
    assert gate(audited / "audits" / "volumes") == volumes
    assert {"list_scans", "gather_images", "judge_audit", "gather_rest", "report_audit"} <= planned(audited, folders)
    target.write_bytes(before)
    assert gate(audited / "audits" / "given") == given and planned(audited, folders) == set()
