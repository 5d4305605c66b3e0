"""Several devices train as one does; two jobs of one machine don't share a GPU."""

import subprocess
import sys

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file
from tiny_trainings import files_of, long, tiny_settings

from copylens.generation.train import train_model
from copylens.jobs import job
from copylens.jobs.files import read_table
from copylens.jobs.workdir import Unfinished

SCRIPT = """
import sys
sys.path[:0] = [{src!r}]
from pathlib import Path
from copylens.training import loop
from copylens.generation.train import train_model
from copylens.jobs.job import job
from copylens.jobs.workdir import Unfinished

data = Path({data!r})
loop.count_devices = lambda n_gpus: n_gpus
with job(str(data / "two.log"), 2):
    files = {{"images": data / "images.npy", "splits": data / "splits.tsv"}}
    train_model({settings!r}, 0, files, data / "two", Unfinished(data / "work"), 2)
"""


def train_on_two(data, settings) -> subprocess.CompletedProcess:
    """A script trains in two processes, over gloo, as a job with two GPUs does over NCCL."""
    script = data / "script.py"
    script.write_text(SCRIPT.format(src=str(ROOT / "src"), data=str(data), settings=settings))
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)


@pytest.fixture
def grid() -> list[int]:
    return [16, 16]


def test_two_processes_train_as_one_does(tiny, data):
    """An autoencoder with a codebook draws nothing at random, so only the order of sums differs."""
    settings = long(tiny_settings(tiny, "models", "autoencoder_vq"), 40)
    train_model(settings, 0, files_of(data), data / "one", Unfinished(data / "work"))
    done = train_on_two(data, settings)
    assert done.returncode == 0, done.stdout + done.stderr + (data / "two.log").read_text()
    one, two = (read_table(data / name / "losses.csv")["value"].to_numpy() for name in ("one", "two"))
    assert one == pytest.approx(two, rel=0.02)
    one, two = (load_file(data / name / "weights.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=0.02), name
    assert [path.name for path in data.glob("work*")] == ["work.lock"]
    assert (data / "two.log").read_text().count("step 40/40") == 1, "the second process says nothing"


def test_an_adversarial_training_runs_on_two_processes(tiny, data):
    settings = long(tiny_settings(tiny, "models", "gan"), 8)
    done = train_on_two(data, settings)
    assert done.returncode == 0, done.stdout + done.stderr + (data / "two.log").read_text()
    assert all(torch.isfinite(tensor).all() for tensor in load_file(data / "two" / "weights.safetensors").values())


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tiny, data):
    settings = long(tiny_settings(tiny, "models", "vae"), 8)
    settings["training"] |= {"batch_size": 7}
    done = train_on_two(data, settings)
    assert done.returncode == 1
    assert "copylens: training.batch_size: 7 images a step can't be shared by 2 devices evenly" in done.stderr


HOLD = """
import sys
sys.path[:0] = [{src!r}]
from pathlib import Path
from copylens.jobs.job import claim_gpus
print(*claim_gpus(1, sorted(Path({folder!r}).iterdir())), flush=True)
input()
"""


def test_jobs_of_one_machine_take_different_gpus(tmp_path):
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / name).touch()
    code = HOLD.format(src=str(ROOT / "src"), folder=str(tmp_path))
    start = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen([sys.executable, "-c", code], **start) for _ in range(2)]
    taken = {process.stdout.readline().strip() for process in jobs}
    assert taken == {"0", "1"}
    assert job.claim_gpus(1, sorted(tmp_path.iterdir())) == [0, 1], "more jobs than GPUs is the user's will"
    for process in jobs:
        process.communicate("\n")
    third = subprocess.run([sys.executable, "-c", code], input="\n", capture_output=True, text=True)
    assert third.stdout.strip() == "0", "what a job had is free after it"
