"""A resource that no scheduler listens to is refused, wherever it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from copylens.config.execution import RESOURCES, check_resources

RULE_FILES = set((ROOT / "rules").glob("*.smk")) - {ROOT / "rules" / "stages.smk"}  # those run nothing
RULES = "".join(path.read_text() for path in sorted(RULE_FILES))


@pytest.fixture
def checkout(tmp_path):
    for name in ("rules", "workflow", "profiles", "src", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copy(ROOT / "configs" / "tiny.yaml", tmp_path / "config.yaml")
    return tmp_path


def dry_run(folder, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "results/data/chest/scans.tsv", "--dry-run", "--cores", "2"]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(("wrong", "right"), [("gpus", "gpu"), ("time", "runtime"), ("mem_bm", "mem_mb")])
@pytest.mark.parametrize("where", ["rule", "profile", "set-resources", "command line"])
def test_a_misspelt_resource_is_refused(checkout, wrong, right, where):
    arguments = []
    if where == "rule":
        path = checkout / "rules" / "train.smk"
        path.write_text(path.read_text().replace("        gpu=1,", f"        {wrong}=1,", 1))
    elif where == "command line":
        arguments = ["--resources", f"{wrong}=1"]
    else:
        path = checkout / "profiles" / "default" / "config.yaml"
        text = {"profile": f"default-resources:\n  {wrong}: 1\n"}
        text["set-resources"] = f"set-resources:\n  train_model:\n    {wrong}: 1\n"
        path.write_text(path.read_text() + text[where])
    done = dry_run(checkout, *arguments)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"'{wrong}' would be ignored in silence; did you mean '{right}'?" in said
    assert {"rule": "train_model", "set-resources": "train_model", "command line": "--resources"}.get(
        where, ":"
    ) in said


def test_without_slurm_its_profile_says_so(checkout, tmp_path):
    (checkout / "slurm").symlink_to("profiles/slurm")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "which"):
        (programs / name).symlink_to(shutil.which(name))
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs)])
    command = [sys.executable, "-m", "snakemake", "results/data/chest/scans.tsv", "--profile", "slurm"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.returncode != 0
    assert "profile: Slurm's sbatch isn't on this machine's PATH" in done.stdout + done.stderr
    assert not (checkout / "results" / "data").exists()


def test_what_the_rules_and_profiles_say_is_known(checkout):
    done = dry_run(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (ROOT / "profiles").glob("*/config.yaml"):
        profile = yaml.safe_load(path.read_text())
        named = {**profile.get("set-resources", {}), "default-resources": profile.get("default-resources", {})}
        check_resources(named | {"resources": profile.get("resources", {})})


def test_every_rule_says_what_it_needs():
    """GPU where there is a network, memory and time everywhere, threads and a log."""
    for rule, body in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", RULES, flags=re.MULTILINE | re.DOTALL):
        names = set(re.findall(r"^ {8}(\w+)=\d+,$", body, re.MULTILINE)) & RESOURCES
        assert {"mem_mb", "runtime"} <= names, rule
        assert "    threads:" in body and "    log:" in body, rule
        assert ("gpu" in names) == (rule in USES_A_NETWORK), rule


USES_A_NETWORK = {
    "train_model",
    "train_detector",
    "score_usefulness",
    "draw_samples",
    "compare_to_training",
    "find_duplicates",
    "plant_copies",
    "benchmark_detector",
    "locate_copies",
    "compare_audit",
    "measure_membership",
    "score_quality",
}
