"""Each run looks at the user's files: whose bytes changed is listed again, with all that follows, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT
from PIL import Image

TARGETS = [f"results/data/{dataset}/splits.tsv" for dataset in ("chest", "other", "drawn")]


def save(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16)).astype(np.uint8)).save(path)


def snakemake(folder: Path, *arguments: str) -> str:
    """What Snakemake says of the three data sets in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", "1", *arguments, *TARGETS]
    environment = os.environ | {"COPYLENS_DATA": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def listed(folder: Path) -> list[str]:
    """The data sets that a dry run would list again."""
    jobs = re.findall(r"^rule list_scans:\n(?:    .*\n)*?    wildcards: dataset=(\w+)", snakemake(folder, "-n"), re.M)
    return sorted(jobs)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Two data sets of PNG files and one without files, all listed and split."""
    folder = tmp_path_factory.mktemp("finished") / "study"  # as deep as its copies, for the paths to the library
    folder.mkdir()
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    split = {"split": {"train": 2, "calibration": 20, "control": 2}, "grid": [16, 16]}
    config["datasets"]["drawn"] = config["datasets"]["chest"]
    for seed, name in enumerate(("chest", "other")):
        config["datasets"][name] = {"reader": "image_folder", "root": name, "patient": r"p(\d+)", **split}
        (folder / name).mkdir()
        for number in range(24):
            save(folder / name / f"p{number}.png", 100 * seed + number)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder)
    return folder


@pytest.fixture
def study(finished, tmp_path) -> Path:
    """A copy, whose files have other dates."""
    return shutil.copytree(finished, tmp_path / "study", copy_function=shutil.copyfile)


def test_a_copy_of_everything_has_nothing_to_do(study):
    assert listed(study) == []


def test_what_isnt_of_the_data_set_changes_nothing(study):
    (study / "other" / ".p3.png.part").write_bytes(b"hidden")
    (study / "other" / "empty").mkdir()
    assert listed(study) == []


def _other_bytes(root: Path) -> None:
    """Of the same size and date."""
    path = root / "p3.png"
    found, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


CHANGES = {
    "one more": lambda root: save(root / "p99.png", 99),
    "another name": lambda root: (root / "p3.png").rename(root / "p77.png"),
    "other bytes": _other_bytes,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_listed_again(change, study):
    before = (study / "other" / "p3.png").read_bytes()
    snakemake(study, "-n")  # keeps the dates that it saw
    CHANGES[change](study / "other")
    assert listed(study) == ["other"]
    for path in (study / "other" / "p99.png", study / "other" / "p77.png"):
        path.unlink(missing_ok=True)
    (study / "other" / "p3.png").write_bytes(before)
    assert listed(study) == [], "changed back"


def test_after_listing_again_there_is_nothing_to_do(study):
    record, table = study / "results/data/other/restricted/files.json", study / "results/data/other/scans.tsv"
    for change in ("again", "and again"):
        before = table.read_text()
        save(study / "other" / "p3.png", len(change))
        said = snakemake(study)
        assert "rule list_scans" in said and "rule split_patients" in said and "dataset=chest" not in said
        assert table.read_text() != before and "Nothing to be done" in snakemake(study, "-n")
    record.unlink()
    assert listed(study) == ["other"], "nothing says which files were listed"
    snakemake(study)
    assert record.exists() and "Nothing to be done" in snakemake(study, "-n")


def test_a_folder_that_is_elsewhere_takes_nothing_away(study):
    (study / "other").rename(study / "elsewhere")
    said = snakemake(study)
    assert "Nothing to be done" in said
    assert f"results/data/other/scans.tsv: its files can't be checked, there's no folder {study}/other" in said


def test_names_of_files_are_in_a_folder_of_their_owner(study, finished):
    folder = finished / "results" / "data" / "other" / "restricted"
    assert folder.stat().st_mode & 0o777 == 0o700 and "p3.png" in (folder / "files.json").read_text()
    others = [path for path in (finished / "results").rglob("*") if path.is_file() and "restricted" not in path.parts]
    assert others and not [path for path in others if b"p3.png" in path.read_bytes()]
