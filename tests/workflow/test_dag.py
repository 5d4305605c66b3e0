"""What reruns and what doesn't, asked of Snakemake itself in dry runs.

The workflow runs once with scripts that only make their output files, so that Snakemake records the parameters and
inputs of a finished study; no network is trained.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from copylens.config import checks

STUB = '''"""Makes the output files, and nothing else."""
from pathlib import Path

for path in snakemake.output:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(snakemake.rule)
raise SystemExit
'''
# A study of mitigations, one of which learns from the samples of another.
VARIANTS = {
    "guided": {"sampling": {"guidance": {"scale": 1.0}}},
    "taught": {"teacher": {"model": "ldm", "variant": "guided"}},
}
CURE = {
    "datasets": ["chest"],
    "models": ["ldm"],
    "variants": ["base", *VARIANTS],
    "detectors": ["random"],
    "quality": "random",
    "usefulness": {},
    "audit": {"detectors": ["windows", "random", "regressed"], "policy": {"transforms": ["identity"]}},
    "figures": ["privacy_and_quality"],
}
CHECKOUT = ("Snakefile", "config.yaml", "configs", "rules", "workflow", "profiles", "slurm", "src", "envs")


def snakemake(folder: Path, *arguments: str) -> str:
    """Snakemake's output on the variants study of the tiny configuration in the checkout `folder`."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "configs/tiny.yaml", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(folder: Path) -> set[tuple[str, str]]:
    """(rule, wildcards) of what a dry run would run."""
    text = snakemake(folder, "--dry-run")
    found = re.findall(r"^(?:local)?rule (\w+):\n(.*?)(?=^\[|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {(rule, _wildcards(body)) for rule, body in found if rule != "all"}


def _wildcards(body: str) -> str:
    match = re.search(r"wildcards: (.*)", body)
    return match.group(1) if match else ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A checkout in which everything has run."""
    folder = tmp_path_factory.mktemp("finished")
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_symlink():
            (folder / name).symlink_to(os.readlink(source))
        elif source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    change(folder, with_mitigations)
    scripts = {path: path.read_text() for path in (folder / "workflow" / "scripts").glob("*.py")}
    for path, text in scripts.items():
        path.write_text(STUB + text)  # what a script imports is an input of its rule
    snakemake(folder)
    for path, text in scripts.items():
        path.write_text(text)
    return folder


@pytest.fixture
def checkout(finished, tmp_path) -> Path:
    """A copy of the finished checkout, to be changed."""
    folder = tmp_path / "checkout"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


def change(folder: Path, edit) -> None:
    """Apply `edit` to the tiny configuration."""
    path = folder / "configs" / "tiny.yaml"
    config = yaml.safe_load(path.read_text())
    edited = edit(config)
    path.write_text(yaml.safe_dump(edited if edited is not None else config, sort_keys=False))


def with_mitigations(config: dict) -> None:
    config["studies"]["cure"] = CURE
    config["variants"] |= VARIANTS


def touch(paths) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes())


def test_again_there_is_nothing_to_do(checkout):
    assert jobs(checkout) == set()


def test_touched_scripts_and_library_rerun_nothing(checkout):
    touch((checkout / "workflow" / "scripts").glob("*.py"))
    touch((checkout / "src").rglob("*.py"))
    touch((checkout / "rules").glob("*.smk"))
    assert jobs(checkout) == set()


def test_reordered_keys_rerun_nothing(checkout):
    def turn(value):
        return {key: turn(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    change(checkout, turn)
    assert jobs(checkout) == set()


AFTER_A_DETECTOR = {"train_detector", "compare_to_training", "score_copies", "compare_detectors"}
STUDIES = checks.load_config(ROOT / "configs" / "tiny.yaml")["studies"]


def figures(*studies: str) -> set[str]:
    """The rules of the studies' figures that show what a detector finds."""
    return {f"draw_{figure}" for study in studies for figure in STUDIES[study]["figures"]} - {"draw_sample_sheet"}


def test_a_detectors_setting_reruns_what_follows_from_that_detector_alone(checkout):
    change(checkout, lambda config: config["detectors"]["narrow"].update(temperature=0.1))
    rerun = jobs(checkout)
    assert {rule for rule, _ in rerun} == AFTER_A_DETECTOR | figures("variants")
    assert not [wildcards for _, wildcards in rerun if "detector=ntxent" in wildcards]
    assert not [wildcards for _, wildcards in rerun if "study=tiny" in wildcards]


def test_a_detectors_file_reruns_what_follows_from_its_detectors(checkout):
    with (checkout / "src/copylens/detection/detectors/ntxent_paper.py").open("a") as file:
        file.write("# changed\n")
    benchmark = {"benchmark_detector", "collect_benchmarks", "correct_rates"}
    assert {rule for rule, _ in jobs(checkout)} == AFTER_A_DETECTOR | benchmark | figures(*STUDIES)


def test_a_variant_leaves_the_others_alone(checkout):
    change(checkout, lambda config: config["variants"]["wide"].update(channels=[16, 24]))
    rerun = jobs(checkout)
    assert ("train_model", "dataset=chest, model=ldm, variant=wide, seed=0") in rerun
    assert not [wildcards for _, wildcards in rerun if "variant=base" in wildcards or "study=tiny" in wildcards]
    assert "train_detector" not in {rule for rule, _ in rerun}


def of_cure(rerun: set[tuple[str, str]]) -> set[str]:
    """The variants that are trained, drawn or audited again."""
    return {
        name for name in CURE["variants"] for _, wildcards in rerun if re.search(rf"[=_]{name}\b|_{name}_", wildcards)
    }


def test_a_mitigation_reruns_its_branch_and_the_tables_alone(checkout):
    change(checkout, lambda config: config["variants"]["taught"].update(training={"learning_rate": 2.0e-3}))
    rerun = jobs(checkout)
    assert of_cure(rerun) == {"taught"} and ("tabulate_mitigations", "study=cure") in rerun
    assert {wildcards for rule, wildcards in rerun if rule == "judge_audit"} == {"audit=cure_ldm_taught_0"}


def test_another_guidance_is_drawn_again_and_teaches_again(checkout):
    change(checkout, lambda config: config["variants"]["guided"]["sampling"]["guidance"].update(scale=2.0))
    rerun = jobs(checkout)
    assert of_cure(rerun) == {"guided", "taught"} and ("draw_privacy_and_quality", "study=cure") in rerun
    trained = {wildcards for rule, wildcards in rerun if rule == "train_model"}
    assert trained == {"dataset=chest, model=ldm, variant=taught, seed=0"}


def test_what_audits_share_doesnt_tie_them_together(checkout):
    """Base is the audit whose comparisons of real images the others take."""
    change(checkout, lambda config: config["variants"].update(wide={"channels": [16, 24]}))
    assert not of_cure(jobs(checkout))
    (checkout / "results/samples/chest/ldm/base/seed0/images.npy").unlink()
    rerun = jobs(checkout)
    assert ("judge_audit", "audit=cure_ldm_base_0") in rerun and of_cure(rerun) == {"base"}


def test_a_variant_that_is_only_drawn_otherwise_isnt_trained_by_itself(checkout):
    change(checkout, lambda config: config["models"]["ldm"]["training"].update(learning_rate=2.0e-3))
    rerun = jobs(checkout)
    of_guided = {rule for rule, wildcards in rerun if "variant=guided" in wildcards}
    assert {"reuse_model", "draw_samples"} <= of_guided and "train_model" not in of_guided


def test_how_samples_are_drawn_trains_nothing(checkout):
    change(checkout, lambda config: config["models"]["ldm"]["sampling"].update(steps=5))
    rerun = jobs(checkout)
    rules = {rule for rule, wildcards in rerun if "variant=taught" not in wildcards}  # which learns from samples
    assert "draw_samples" in rules and "train_model" not in rules and "train_detector" not in rules


def test_one_models_file_reruns_its_kind_and_what_follows(checkout):
    with (checkout / "src/copylens/generation/models/latent_diffusion.py").open("a") as file:
        file.write("# changed\n")
    trained = {wildcards for rule, wildcards in jobs(checkout) if rule == "train_model"}
    assert trained and not [wildcards for wildcards in trained if "model=autoencoder" in wildcards]


def test_a_figures_file_redraws_that_figure_alone(checkout):
    with (checkout / "src/copylens/reporting/figures/training_curves.py").open("a") as file:
        file.write("# changed\n")
    assert {rule for rule, _ in jobs(checkout)} == {"draw_training_curves"}


def test_another_split_gathers_no_images_again(checkout):
    change(checkout, lambda config: config["datasets"]["knee"]["split"].update(seed=1))
    rerun = jobs(checkout)
    assert ("split_patients", "dataset=knee") in rerun and "gather_images" not in {rule for rule, _ in rerun}
    assert not [wildcards for _, wildcards in rerun if "dataset=chest" in wildcards]


def test_the_slurm_profiles_partition_and_account_reach_every_job(checkout, tmp_path):
    profile = (checkout / "slurm" / "config.yaml").read_text().replace("  # slurm_", "  slurm_")
    assert "executor: slurm\n" in profile and profile.count("  slurm_") == 2
    (tmp_path / "profile").mkdir()
    # Without the executor, whose plugin isn't needed for a dry run.
    (tmp_path / "profile" / "config.yaml").write_text(profile.replace("executor: slurm\n", ""))
    text = snakemake(checkout, "--dry-run", "--forceall", "--profile", str(tmp_path / "profile"))
    resources = re.findall(r"^rule .*?^    resources: (.*?)$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(resources) > 20
    assert all("slurm_partition=gpu, slurm_account=my_account" in line and "gpu=" in line for line in resources)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("paper_*.yaml")), ids=lambda path: path.stem)
def test_a_paper_size_study_plans_every_training_with_its_gpu(path, tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(path)]
    command += ["--workflow-profile", str(ROOT / "profiles" / "paper"), "--directory", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    trainings = re.findall(r"^rule train_model:.*?^    resources: (.*?)$", done.stdout, flags=re.MULTILINE | re.DOTALL)
    assert len(trainings) > 3 * 8  # seeds, networks
    assert all("gpu=1" in line and "mem_mb=96000" in line for line in trainings)


STAGES = {
    "models": ({"train_model"}, {"draw_samples", "train_detector"}),
    "samples": ({"train_model", "draw_samples"}, {"train_detector"}),
    "scores": ({"train_detector", "compare_to_training", "score_copies"}, {"draw_copy_pairs", "score_quality"}),
    "figures": ({"score_quality", "draw_copy_pairs", "draw_exposure_curve"}, set()),
    "study_volumes": ({"train_model", "draw_copied_regions", "correct_rates"}, {"draw_exposure_curve"}),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_target(stage, tmp_path):
    command = [sys.executable, "-m", "snakemake", stage, "--snakefile", str(ROOT / "Snakefile"), "--dry-run"]
    command += ["--directory", str(tmp_path), "--configfile", str(ROOT / "configs" / "tiny.yaml"), "--cores", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = set(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, flags=re.MULTILINE))
    wanted, unwanted = STAGES[stage]
    assert wanted <= planned and not unwanted & planned
