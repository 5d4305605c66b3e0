"""The whole line, from drawn or real images to scores and PDFs: once to see that it runs, twice for the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from watched_imports import undeclared, watching

from copylens.config import checks

FIGURES = checks.load_config(ROOT / "configs" / "tiny.yaml")["studies"]["tiny"]["figures"]


def snakemake(folder: Path, config: Path, *arguments: str, **environment: str) -> str:
    """Run the workflow with results in `folder`; its output."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "2"]
    command += ["--set-threads", "train_model=1", "train_detector=1", "draw_samples=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tiny_2d(tmp_path_factory) -> Path:
    """The tiny configuration cut to what two runs afford: one 2D and one 3D study."""
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    del config["studies"]["variants"]
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def results(tiny_2d, tmp_path_factory) -> list[Path]:
    """results/ of the same study, run twice in two places."""
    folders = [tmp_path_factory.mktemp(f"run{number}") for number in range(2)]
    for folder in folders:
        snakemake(folder, tiny_2d, **watching(folder / "watched"))
    return [folder / "results" for folder in folders]


def test_a_study_leaves_scores_and_figures(results):
    scores = pd.read_csv(results[0] / "scores" / "tiny.csv")
    # Two rules; of the diffusion model two epochs, and two controls.
    assert len(scores) == 2 * (2 + 2)
    assert set(scores["rule"]) == {"paper", "matched"}
    assert scores[scores["kind"] == "latent_diffusion"]["epoch"].nunique() == 2
    # Two epochs, and two detectors.
    assert len(pd.read_csv(results[0] / "scores" / "volumes.csv")) == 2 * 2 * 2
    for rate in ("copies", "memorized", "patients_memorized", "control_rate"):
        assert scores[rate].between(0, 1).all()
        assert (scores[f"{rate}_low"] <= scores[rate]).all() and (scores[rate] <= scores[f"{rate}_high"]).all()
    for figure in FIGURES:
        assert (results[0] / "figures" / "tiny" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")


def test_detectors_are_tried_on_planted_copies(results):
    benchmark = pd.read_csv(results[0] / "detectors" / "knee" / "benchmark.csv")
    assert list(benchmark["detector"].unique()) == ["ntxent", "windows"]
    assert list(benchmark["transform"].unique()) == ["identity", "halves", "autoencoder", "denoised_50"]
    identity = benchmark[benchmark["transform"] == "identity"].set_index("detector")
    assert identity.loc["windows", "top1"] == 1
    for figure in ("detector_benchmark", "review_sheet", "copied_regions"):
        assert (results[0] / "figures" / "volumes" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")


def test_detectors_are_compared_and_their_rates_corrected(results):
    agreement = pd.read_csv(results[0] / "agreement" / "volumes.csv")
    assert (agreement["detector"] + agreement["other"] == "ntxentwindows").all() and len(agreement) == 2
    consensus = pd.read_csv(results[0] / "consensus" / "volumes.csv").set_index(["epoch", "at_least"])["copies"]
    corrected = pd.read_csv(results[0] / "corrected" / "volumes.csv").set_index(["epoch", "detector"])
    for epoch in agreement["epoch"]:
        assert consensus[epoch, 1] >= corrected.loc[epoch, "copies"].max() >= consensus[epoch, 2]
    key, answers = (pd.read_csv(results[0] / "review" / "volumes" / f"{name}.csv") for name in ("key", "answers"))
    assert list(answers.columns) == ["pair", "answer"] and (answers["pair"] == key["pair"]).all()


def test_the_positive_control_is_found_and_the_quality_table_likes_it(results):
    scores = pd.read_csv(results[0] / "scores" / "tiny.csv").query("rule == 'matched'").set_index("kind")
    assert scores.loc["copycat", "copies"] == 1
    quality = pd.read_csv(results[0] / "quality" / "tiny.csv").query("metric == 'frechet_distance'")
    value = quality.set_index("kind")["value"]
    assert value["copycat"] < value["unseen"] < value["latent_diffusion"].min()
    exposure = pd.read_csv(results[0] / "exposure" / "tiny.csv")
    assert set(exposure["kind"]) == {"latent_diffusion", "copycat", "unseen"}


def test_rules_declare_all_code_that_their_jobs_load(results):
    """So that an edit of any of it reruns them."""
    rules, missing = undeclared(results[0].parent / "watched")
    assert (
        missing == [] and {"train_model", "draw_samples", "score_copies", "locate_copies", "draw_copy_pairs"} <= rules
    )


def test_a_second_run_gives_the_same_bits(results):
    compared = 0
    for path in sorted(results[0].rglob("*")):
        if path.is_file() and "logs" not in path.parts:
            other = results[1] / path.relative_to(results[0])
            assert path.read_bytes() == other.read_bytes(), path.name
            compared += 1
    assert compared > 30


def test_a_finished_study_has_nothing_to_do(results, tiny_2d):
    assert "Nothing to be done" in snakemake(results[0].parent, tiny_2d)


def test_the_report_is_one_html_with_every_figure(results, tiny_2d):
    report = results[0].parent / "report.html"
    snakemake(results[0].parent, tiny_2d, "--report", str(report))
    text = report.read_text()
    for figure in FIGURES:
        assert f"{figure}.pdf" in text
    assert "Restricted: shows training images" in text


def test_a_full_matrix_comes_when_asked_for_by_name(results, tiny_2d):
    target = "results/similarity/chest/ntxent/ldm/base/seed0/matrix.npy"
    snakemake(results[0].parent, tiny_2d, target)
    assert (results[0].parent / target).exists()


@pytest.mark.parametrize("name", ["nih_chestxray", "msd_hippocampus"])
def test_real_images_go_the_whole_line(name, real_images, tmp_path):
    """The shipped configurations of real data, their networks cut short."""
    config = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    for entry in [*config["models"].values(), *config["detectors"].values()]:
        entry["training"] |= {"steps": 4, "batch_size": 4, "warmup_steps": 0}
    config["models"]["ldm"]["sampling"] |= {"n_samples": 6, "steps": 2}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    snakemake(tmp_path, path, COPYLENS_DATA=str(real_images))
    (study,) = config["studies"]
    scores = pd.read_csv(tmp_path / "results" / "scores" / f"{study}.csv")
    split = config["datasets"][name]["split"]
    assert (scores["n_train"] == split["train"]).all() and (scores["n_calibration"] == split["calibration"]).all()
    text = "".join(path.read_text() for path in (tmp_path / "results").rglob("*.[tcl][sso][vg]"))
    assert str(real_images) not in text and ".png" not in text and "hippocampus_0" not in text
