"""`snakemake --profile slurm` on a real Slurm, as a user types it: to PDFs, through requeues, kills and time limits."""

import datetime
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from cluster import Cluster, missing_programs
from conftest import ROOT

pytestmark = pytest.mark.slurm
COMMAND = ["snakemake", "--profile", "slurm"]
STARTED: list[subprocess.Popen] = []
TRAININGS = [
    *(("models", name) for name in ("autoencoder", "ldm", "autoencoder_vq", "vae", "gan")),
    *(("detectors", name) for name in ("ntxent", "regressed", "latent")),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if missing := missing_programs():
        pytest.skip(f"needs Slurm: {', '.join(missing)} not found (Debian: apt-get install slurm-wlm munge)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    except TimeoutError as error:
        raise RuntimeError(cluster.logs()) from error
    finally:
        cluster.stop()


@pytest.fixture
def checkout(cluster, tmp_path):
    """What a user has after cloning, with the tiny study as its configuration. Nothing runs there afterwards."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("rules", "workflow", "profiles", "src", "envs", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "slurm").symlink_to(os.readlink(ROOT / "slurm"))
    configure(folder, ["tiny"])
    yield folder
    for process in STARTED:
        process.kill()
        process.wait()
    STARTED.clear()
    cluster.cancel()


def configure(folder: Path, studies: list[str], steps: int | None = None, **training) -> None:
    """The tiny configuration with these studies alone, perhaps with longer trainings."""
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    config["studies"] = {name: config["studies"][name] for name in studies}
    for entry in [*config["models"].values(), *config["detectors"].values()]:
        if steps and "training" in entry:
            entry["training"] |= {"steps": steps, **training}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def environment(cluster: Cluster | None) -> dict[str, str]:
    found = dict(cluster.environment if cluster else os.environ)
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]])
    return found | {"PYTHONPATH": "", "OMP_NUM_THREADS": "1"}


def start(cluster: Cluster, folder: Path, *targets: str) -> subprocess.Popen:
    """The literal command, its output in `output` beside the checkout."""
    with (folder.parent / "output").open("a") as output:
        command = [*COMMAND, *targets]
        process = subprocess.Popen(command, cwd=folder, env=environment(cluster), stdout=output, stderr=output)
    STARTED.append(process)
    return process


def output_of(folder: Path) -> str:
    return (folder.parent / "output").read_text()


def jobs(cluster: Cluster) -> list[dict[str, str]]:
    """What `scontrol show job` says of every job."""
    lines = cluster.ask("scontrol", "show", "job", "--details", "--oneliner", check=False).splitlines()
    described = [line for line in lines if line.startswith("JobId=")]
    return [dict(field.split("=", 1) for field in line.split() if "=" in field) for line in described]


def weights(results: Path) -> dict[Path, bytes]:
    return {path.relative_to(results): path.read_bytes() for path in results.rglob("weights.safetensors")}


def seconds(time_of_day: str) -> float:
    return datetime.datetime.fromisoformat(time_of_day).timestamp()


def test_the_literal_command_goes_from_nothing_to_pdfs_on_two_gpus(cluster, checkout):
    process, devices = start(cluster, checkout), set()
    while process.poll() is None:
        running = [job for job in jobs(cluster) if job["JobState"] == "RUNNING" and "rule_train_" in job["Comment"]]
        devices.update(job["GRES"] for job in running if "GRES" in job)
        time.sleep(0.3)
    assert process.returncode == 0, output_of(checkout)
    for figure in yaml.safe_load((checkout / "config.yaml").read_text())["studies"]["tiny"]["figures"]:
        assert (checkout / "results" / "figures" / "tiny" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
    trainings = [job for job in jobs(cluster) if "rule_train_" in job["Comment"]]
    assert len(trainings) >= 5 and all(job["TresPerJob"] == "gres:gpu:1" for job in trainings)
    figures = [job for job in jobs(cluster) if "rule_draw_over_training" in job["Comment"]]
    assert figures and not any("gpu" in job.get("TresPerJob", "") for job in figures)
    assert devices == {"gpu:1(IDX:0)", "gpu:1(IDX:1)"}, "each training sees one device, and both are used"
    times = sorted((seconds(job["StartTime"]), seconds(job["EndTime"])) for job in trainings)
    assert any(after < end for (_, end), (after, _) in itertools.pairwise(times)), f"two trainings at once: {times}"
    left = [path for path in (checkout / "work").rglob("*.*") if path.suffix != ".lock"]
    assert left == [], "a finished run leaves no state"


def test_killed_and_requeued_trainings_end_with_the_bits_of_uninterrupted_ones(cluster, checkout, tmp_path):
    """Each kind of network is requeued by Slurm once and its process killed once; the main process is killed too."""
    configure(checkout, ["tiny", "volumes"], steps=240, checkpoint_every=40, snapshots=[])
    arguments = [*(target(*training) for training in TRAININGS), "--set-threads", "train_model=1", "train_detector=1"]
    patience = ["--slurm-init-seconds-before-status-checks", "3"]
    straight = tmp_path / "straight"
    shutil.copytree(checkout, straight, symlinks=True)
    command = [COMMAND[0], *arguments]
    done = subprocess.run(
        [*command, "--cores", "2"], cwd=straight, env=environment(None), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

    process = start(cluster, checkout, *arguments, *patience)
    requeued, killed, main_killed = set(), set(), False
    while process.poll() is None:
        for folder in {path.parent for path in (checkout / "work").rglob("last.ckpt")}:
            name = str(folder.relative_to(checkout / "work"))
            if name not in requeued:
                if (number := job_of(cluster, name)) is not None:
                    cluster.ask("scontrol", "requeue", number, check=False)
                    requeued.add(name)
            elif name not in killed and (folder / "previous.ckpt").exists() and kill(checkout, name):
                killed.add(name)
        if not main_killed and len(killed) >= 2:
            process.kill()
            process.wait()
            process, main_killed = start(cluster, checkout, *arguments, *patience), True
        time.sleep(0.2)
    assert process.returncode == 0, output_of(checkout)
    assert main_killed and len(killed) >= 5 and len(requeued) >= 5, (requeued, killed)
    expected, found = weights(straight / "results"), weights(checkout / "results")
    assert len(expected) == len(TRAININGS)
    assert [path for path in expected if expected[path] != found.get(path)] == []


def target(section: str, name: str) -> str:
    return {
        "models": f"results/models/chest/{name}/base/seed0/weights.safetensors",
        "detectors": f"results/detectors/chest/{name}/weights.safetensors",
    }[section]


def job_of(cluster: Cluster, name: str) -> str | None:
    """The number of the running Slurm job that trains the network in a folder of work/."""
    wildcards = "_".join(part.removeprefix("seed") for part in Path(name).parts if part not in ("models", "detectors"))
    wildcards = wildcards.removesuffix("_training")
    running = [job for job in jobs(cluster) if job["JobState"] == "RUNNING"]
    return next((job["JobId"] for job in running if job["Comment"].endswith(f"_wildcards_{wildcards}")), None)


def kill(checkout: Path, name: str) -> bool:
    """kill -9 of the Python process that trains there, which holds the lock."""
    lock = checkout / "work" / f"{name}.lock"
    for link in itertools.chain.from_iterable(path.glob("fd/*") for path in Path("/proc").glob("[0-9]*")):
        try:
            if os.readlink(link) == str(lock):
                os.kill(int(link.parts[2]), signal.SIGKILL)
                return True
        except OSError:
            continue
    return False


def test_a_training_longer_than_its_allocations_is_submitted_again_until_it_is_done(cluster, checkout):
    """Allocations of one minute, a training of more: each stops by itself, saved, before Slurm would stop it."""
    network, alone = target("models", "autoencoder"), ["--set-threads", "train_model=1"]
    configure(checkout, ["tiny"], steps=1000, checkpoint_every=100, snapshots=[])
    command = [COMMAND[0], network, *alone, "--cores", "1"]
    subprocess.run(command, cwd=checkout, env=environment(None), capture_output=True, check=True)
    log = (checkout / "results" / "logs" / "train_model" / "chest" / "autoencoder" / "base" / "seed0.log").read_text()
    took = float(re.search(r"^training took ([\d.]+) s$", log, flags=re.MULTILINE).group(1))
    steps = round(1000 * 60 / took)
    configure(checkout, ["tiny"], steps=steps, checkpoint_every=max(1, steps // 60), snapshots=[])
    process = start(cluster, checkout, network, *alone, "--set-resources", "train_model:runtime=1", "--retries", "20")
    assert process.wait(timeout=900) == 0, output_of(checkout)
    log = output_of(checkout)
    numbers = re.findall(r"Job \d+ has been submitted with SLURM jobid (\d+) \(log: \S*rule_train_model", log)
    states = {job["JobId"]: job["JobState"] for job in jobs(cluster) if job["JobId"] in numbers}
    assert len(numbers) >= 2
    assert [states[number] for number in numbers] == ["FAILED"] * (len(numbers) - 1) + ["COMPLETED"], states


def test_an_unknown_partition_is_named(cluster, checkout):
    arguments = ["results/data/chest/scans.tsv", "--default-resources", "slurm_partition=nowhere", "--retries", "0"]
    process = start(cluster, checkout, *arguments)
    assert process.wait(timeout=300) != 0
    assert "invalid partition specified: nowhere" in output_of(checkout)
    assert not (checkout / "results" / "data").exists()


def test_an_audit_of_folders_runs_on_the_cluster(cluster, tmp_path):
    """`copylens audit --profile slurm`, as a steward types it: each stage is a job, the verdict the last line."""
    generator = np.random.default_rng(0)
    for name, n in (("real", 24), ("others", 44)):
        for number in range(n):
            values = generator.normal(size=(32, 32)).cumsum(0).cumsum(1)
            pixels = (255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)
            (tmp_path / name).mkdir(exist_ok=True)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    shutil.copytree(tmp_path / "real", tmp_path / "made")
    before = {job["JobId"] for job in jobs(cluster)}
    command = ["copylens", "audit", "--training", "real", "--held-out", "others", "--synthetic", "made", "-o", "out"]
    command += ["--one-file-per-patient", "--profile", "slurm"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(cluster), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL: 24 of 24 synthetic images are, pixel by pixel" in done.stdout and done.stderr == ""
    submitted = [job["Comment"] for job in jobs(cluster) if job["JobId"] not in before]
    for rule in ("pool_images", "train_audit_detector", "compare_audit"):
        assert any(f"rule_{rule}" in comment for comment in submitted), submitted
