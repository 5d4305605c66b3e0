"""A study that audits its networks: a verdict on each, and what the audits share is compared once."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT

DETECTORS = ["pixel_correlation", "pixel_l2_ratio", "random"]
CONFIG = {
    "datasets": {
        "chest": {
            **{"reader": "phantom", "anatomy": "xray", "n_patients": 110, "size": 16, "grid": [16, 16]},
            "split": {"train": 24, "calibration": 30, "control": 30},
        }
    },
    "models": {
        "copycat": {"kind": "copycat", "sampling": {"n_samples": 30}},
        "unseen": {"kind": "unseen", "sampling": {"n_samples": 20}},
    },
    "detectors": {
        "pixel_correlation": {"kind": "pixel_correlation"},
        "pixel_l2_ratio": {"kind": "pixel_l2_ratio"},
        "random": {"kind": "random_features", "features": 8},
    },
    "studies": {
        "cures": {
            **{"datasets": ["chest"], "models": ["copycat", "unseen"], "detectors": ["pixel_correlation"]},
            **{"seeds": [0], "quality": "random", "usefulness": {"steps": 5}, "audit": {"detectors": DETECTORS}},
            "figures": ["privacy_and_quality"],
        }
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mitigations")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "snakemake", "study_cures", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_copycat_fails_and_other_patients_dont(folder):
    table = pd.read_csv(folder / "results" / "mitigations" / "cures.csv").set_index("model")
    assert table.loc["copycat", "verdict"] == "FAIL" and "identical_files" in table.loc["copycat", "failing"].split()
    assert table.loc["unseen", "verdict"] != "FAIL" and table.loc["unseen", "copies"] < table.loc["copycat", "copies"]
    assert (folder / "results" / "figures" / "cures" / "privacy_and_quality.pdf").read_bytes().startswith(b"%PDF")


def test_the_second_audit_compares_its_samples_alone(folder):
    logs = folder / "results" / "logs" / "compare_audit"
    said = {path.parent.name: path.read_text() for path in logs.glob("*/pixel_correlation.log")}
    assert len(said) == 2
    shared = "compared already by another audit: calibration, control, train_to_held_out"
    assert [name for name, text in said.items() if shared in text] == ["cures_unseen_base_0"]  # the first asks nobody
