"""A new kind of model is one file and one entry of the configuration."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import yaml
from conftest import ROOT

MODEL = '''"""Mixtures of two training images, a generator that nobody needs."""

import torch

from copylens.training.module import KeptImages
from copylens.jobs.seeds import derive_seed

SETTINGS = """
required: [sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  # How much of the first image is in a mixture.
  share: {$ref: "#/$defs/share", default: 0.5}
  sampling: {$ref: "#/$defs/sampling"}
"""


def build(settings, grid, upstream=None):
    return KeptImages(settings)


def sample(module, n, seed, sampling, first):
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample"))
    one, two = (module.images[torch.randint(len(module.images), (n,), generator=generator)] for _ in range(2))
    yield from torch.lerp(two, one, module.settings["share"])[first:].split(sampling["batch_size"])
'''


def test_a_new_kind_of_model_is_one_file_and_one_entry(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("rules", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())

    (tmp_path / "src" / "copylens" / "generation" / "models" / "mixture.py").write_text(MODEL)
    config["models"]["mixed"] = {"kind": "mixture", "share": 1.0, "sampling": {"n_samples": 12}}

    study = {"datasets": ["chest"], "models": ["mixed"], "detectors": ["random"], "figures": ["copies_by_model"]}
    config["studies"] = {"new": study}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    scores = pd.read_csv(tmp_path / "results" / "scores" / "new.csv")
    assert set(scores["kind"]) == {"mixture"} and (scores["copies"] == 1).all()

    config["models"]["mixed"]["shere"] = 0.9
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run([*command, "--dry-run"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (
        done.returncode != 0 and "models.mixed.shere: unknown key; did you mean 'share'?" in done.stdout + done.stderr
    )
