"""The build tool's output as lines for who watches, and its failure as one line."""

import yaml
from conftest import ROOT

from copylens.cli.workflow import STAGES, UNKNOWN, Progress, error_in, profile_path

OUTPUT = """Building DAG of jobs...
Job stats:
job                     count
--------------------  -------
audits                      1
compare_audit               3
list_scans                  3
total                       7

[Fri Nov 27 08:39:13 2026]
localrule list_scans:
    output: results/data/training/scans.tsv
[Fri Nov 27 08:39:14 2026]
Finished jobid: 3 (Rule: list_scans)
1 of 7 steps (14%) done
rule list_scans:
rule compare_audit:
"""


def test_each_stage_is_said_once():
    lines = []
    progress = Progress(lines.append)
    for line in OUTPUT.splitlines():
        progress.see(line)
    assert lines == ["[ 0 of 7] reading the images", "[ 1 of 7] comparing samples with training images"]


def test_a_jobs_own_line_is_the_error():
    output = [
        "rule pool_images:",
        "copylens: a.png: can't be read as an image",
        "RuleException:",
        "Exiting because a job",
    ]
    assert error_in(output) == "a.png: can't be read as an image"


def test_a_mistake_in_the_configuration_is_the_error():
    output = [
        "Using profile",
        "WorkflowError in file Snakefile, line 3:",
        "configuration: unknown key",
        "  File x, line 1",
    ]
    assert error_in(output) == "configuration: unknown key"


def test_any_other_failure_has_a_sentence():
    assert error_in(["Killed"]) == UNKNOWN


def test_a_rule_without_words_is_shown_by_its_name():
    lines = []
    Progress(lines.append).see("rule train_model:")
    assert lines == ["[ 0 of 0] train model"]


def test_stages_are_rules_of_the_workflow():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert all(f"rule {name}:" in text or f" as {name} with:" in text for name in STAGES)


def test_the_workflows_own_profiles_are_found_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())["executor"] == "slurm"
    assert profile_path("slurm") == str(ROOT / "profiles" / "slurm")
    (tmp_path / "slurm").mkdir()
    assert profile_path("slurm") == str(tmp_path / "slurm")
    assert profile_path("elsewhere") == "elsewhere"
