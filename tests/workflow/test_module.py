"""The workflow as a module of another one, and deployed by snakedeploy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

CONFIG = {
    "datasets": {
        "chest": {
            **{"reader": "phantom", "anatomy": "xray", "n_patients": 60, "size": 16, "grid": [16, 16]},
            "split": {"train": 16, "calibration": 20, "control": 16},
        }
    },
    "models": {"copycat": {"kind": "copycat", "sampling": {"n_samples": 12}}},
    "variants": {"base": {}},
    "detectors": {"pixel_correlation": {"kind": "pixel_correlation"}},
    "studies": {
        "small": {
            **{"datasets": ["chest"], "models": ["copycat"], "detectors": ["pixel_correlation"]},
            "figures": ["copies_by_dataset"],
        }
    },
}
PARENT = """
configfile: "parent.yaml"


module copylens:
    snakefile:
        "{snakefile}"
    config:
        config["copylens"]
{prefix}

use rule * from copylens as copylens_*
"""
CHECKOUT = ("Snakefile", "rules", "workflow", "src", "envs", "config.yaml")


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def runs_once(folder: Path, target: str, results: Path) -> None:
    """A run makes the figure where it belongs, and after it nothing is to be done."""
    snakemake(folder, target)
    assert (results / "figures" / "small" / "copies_by_dataset.pdf").read_bytes().startswith(b"%PDF")
    assert "Nothing to be done" in snakemake(folder, target, "--dry-run")


@pytest.mark.parametrize("place", ["inside", "outside"])
@pytest.mark.parametrize("prefix", [None, "sub/memorization"])
def test_another_workflow_uses_it(tmp_path, place, prefix):
    snakefile = ROOT / "Snakefile"
    if place == "inside":
        for name in CHECKOUT:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            (tmp_path / "deep").mkdir(exist_ok=True)
            copy(ROOT / name, tmp_path / "deep" / name)
        snakefile = "deep/Snakefile"
    (tmp_path / "parent.yaml").write_text(yaml.safe_dump({"copylens": CONFIG}))
    line = f'    prefix:\n        "{prefix}"\n' if prefix else ""
    (tmp_path / "Snakefile").write_text(PARENT.format(snakefile=snakefile, prefix=line))
    runs_once(tmp_path, "copylens_all", tmp_path / (prefix or "") / "results")
    expected = {"Snakefile", "parent.yaml", ".snakemake", *(["deep"] if place == "inside" else [])}
    assert {path.name for path in tmp_path.iterdir()} == expected | ({"sub"} if prefix else {"results", "work"})


def test_snakedeploy_deploys_it_from_a_path(tmp_path):
    source, deployed = tmp_path / "source", tmp_path / "deployed"
    for name in (*CHECKOUT, "profiles", "config", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    command = [
        str(Path(sys.executable).with_name("snakedeploy")),
        "deploy-workflow",
        str(source),
        str(deployed),
        "--branch",
        "main",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (deployed / "config" / "config.yaml").read_bytes() == (ROOT / "config.yaml").read_bytes()
    assert (deployed / "config" / "README.md").is_file() and (deployed / "profiles" / "slurm").is_dir()
    text = (deployed / "workflow" / "Snakefile").read_text()
    assert '"Snakefile"' in text, "config/README.md says to write the full path there"
    (deployed / "workflow" / "Snakefile").write_text(text.replace('"Snakefile"', f'"{source / "Snakefile"}"'))
    (deployed / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    runs_once(deployed, "all", deployed / "results")
