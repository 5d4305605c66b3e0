"""What an interrupted job leaves in `work/`, and who may take it up."""

import multiprocessing
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from tiny_trainings import Stopped, draw_into, files_of, long, tiny_settings, train, train_into, weights_of

from copylens.detection.embed import Embedder, embed_file
from copylens.detection.train import train_detector
from copylens.generation.train import train_model
from copylens.jobs import job
from copylens.jobs.files import read_array, read_yaml
from copylens.jobs.workdir import Unfinished, claim, exclusive
from copylens.training import checkpoints, loop


@pytest.fixture
def grid() -> list[int]:
    """In 2D alone: what is kept of a job doesn't depend on its images."""
    return [16, 16]


@pytest.fixture
def settings(tiny) -> dict:
    """A training of four chunks of five steps."""
    return long(tiny_settings(tiny, "models", "vae"), 20)


@pytest.fixture
def interrupted(data, settings, monkeypatch) -> Path:
    """The state of a training that was stopped in its last chunk."""
    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(loop, "Reseed", Stopped)
        patch.setattr(Stopped, "chunk", 3)
        train_into(settings, data, data / "broken", None)
    return data / "work_broken"


def test_state_cut_short_anywhere_gives_way_to_the_one_before(interrupted, data, settings, capsys):
    last, previous = (interrupted / name for name in checkpoints.GENERATIONS)
    whole = last.read_bytes()
    assert checkpoints.newest(interrupted) == last and previous.exists()
    generator = np.random.default_rng(0)
    for length in [0, 1, 22, len(whole) // 2, len(whole) - 1, *generator.integers(0, len(whole), 40)]:
        last.write_bytes(whole[:length])
        assert last.exists() and checkpoints.newest(interrupted) == previous, (
            f"cut after {length} of {len(whole)} bytes"
        )
    assert f"{last}: can't be read" in capsys.readouterr().out
    train_into(settings, data, data / "broken", None)
    train_into(settings, data, data / "straight", None)
    assert weights_of(data / "broken") == weights_of(data / "straight")
    assert not interrupted.exists()


def test_without_a_readable_state_a_training_begins_anew(interrupted, data, settings):
    for name in checkpoints.GENERATIONS:
        (interrupted / name).write_bytes(b"PK not a checkpoint")
    train_into(settings, data, data / "broken", None)
    train_into(settings, data, data / "straight", None)
    assert weights_of(data / "broken") == weights_of(data / "straight")


def test_state_of_another_training_is_set_aside(interrupted, data, settings, capsys):
    found = (interrupted / "last.ckpt").read_bytes()
    other = settings | {"kl_weight": 0.5}
    train_into(other | {"training": other["training"] | {"learning_rate": 1e-4}}, data, data / "broken", None)
    train_into(other | {"training": other["training"] | {"learning_rate": 1e-4}}, data, data / "straight", None)
    said = capsys.readouterr().out
    assert f"{interrupted}: state of a job with other settings; archived as {interrupted}.aside" in said
    assert weights_of(data / "broken") == weights_of(data / "straight")
    assert found and [path.name for path in data.glob("work_broken*")] == ["work_broken.lock"], "no state is left"


@pytest.mark.parametrize("key", ["settings", "data", "upstream", "code", "versions"])
def test_whatever_state_depends_on_sets_it_aside(tmp_path, key):
    identity = dict.fromkeys(["settings", "data", "upstream", "code", "versions"], "as before")
    claim(tmp_path / "work", identity)
    (tmp_path / "work" / "last.ckpt").write_text("state")
    claim(tmp_path / "work", identity)
    assert (tmp_path / "work" / "last.ckpt").exists()
    claim(tmp_path / "work", identity | {key: "new"})
    assert not (tmp_path / "work" / "last.ckpt").exists()
    assert (tmp_path / "work.aside" / "last.ckpt").read_text() == "state"
    claim(tmp_path / "work", identity)
    assert (tmp_path / "work" / "last.ckpt").read_text() == "state", "and comes back when it is wanted again"
    assert (tmp_path / "work.aside" / "identity.yaml").exists()


def test_a_training_longer_than_an_allocation_ends_with_the_same_bits(data, settings, monkeypatch):
    """Each allocation has room for one chunk more, by a clock that only chunks move."""
    train_into(settings, data, data / "straight", None)

    class Clock(checkpoints.Saver):
        def on_train_epoch_end(self, trainer, module):
            clock["now"] += 100
            super().on_train_epoch_end(trainer, module)

    monkeypatch.setattr(loop, "Saver", Clock)
    monkeypatch.setattr(checkpoints.time, "time", lambda: clock["now"])
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock["now"])
    clock, attempts = {"now": 0}, 0
    while not (data / "broken" / "weights.safetensors").exists():
        try:
            unfinished = Unfinished(data / "work", deadline=clock["now"] + 220)
            train_model(settings, 0, files_of(data), data / "broken", unfinished)
        except job.OutOfTime as error:
            assert "stopped before the time limit; submit it again to resume" in str(error)
        attempts += 1
    assert attempts == 2
    assert weights_of(data / "broken") == weights_of(data / "straight")


def test_an_allocation_without_room_for_one_chunk_is_an_error_that_says_so(data, settings):
    with pytest.raises(
        ValueError, match=r"work: the time limit comes before one chunk .* lower training.checkpoint_every"
    ):
        train_model(settings, 0, files_of(data), data / "model", Unfinished(data / "work", deadline=time.time()))


def test_the_time_limit_is_slurms_or_the_rules_and_nobodys_outside_of_a_batch_system(monkeypatch):
    for name in ("SLURM_JOB_END_TIME", *job.BATCH_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    assert job.deadline(10) is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert 480 < job.deadline(10) - time.time() < 600
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1234")
    assert job.deadline(10) == 1234


def hold(work: Path, results: Path, identity: dict, held, release) -> None:
    with exclusive(work, identity):
        held.set()
        release.wait()
        results.write_text("done by the first")


@pytest.mark.parametrize("same", [True, False])
def test_a_job_that_runs_already_is_waited_for(tmp_path, same):
    """A workflow that was killed leaves its jobs running; the next one submits them again."""
    context = multiprocessing.get_context("fork")
    held, release, identity = context.Event(), context.Event(), {"settings": 1}
    results = tmp_path / "results"
    first = context.Process(target=hold, args=(tmp_path / "work", results, identity, held, release))
    first.start()
    assert held.wait(60)
    threading.Timer(1.0, release.set).start()
    start = time.monotonic()
    with exclusive(tmp_path / "work", identity if same else {"settings": 2}) as waited:
        assert time.monotonic() - start > 0.5 and results.exists()
        assert waited == same
    first.join()


def test_waiting_for_another_job_ends_with_the_time_limit(tmp_path):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    first = context.Process(target=hold, args=(tmp_path / "work", tmp_path / "results", {"a": 1}, held, release))
    first.start()
    assert held.wait(60)
    waiting = exclusive(tmp_path / "work", {"a": 1}, deadline=time.time())
    with pytest.raises(job.OutOfTime, match="another process works there"), waiting:
        pass
    release.set()
    first.join()


def test_snapshots_of_another_training_stay_out_of_a_kind_that_is_not_trained(tiny, data):
    """A configuration's model was interrupted, and became a copycat under the same name."""
    (data / "work_model" / "snapshots").mkdir(parents=True)
    (data / "work_model" / "snapshots" / "5.safetensors").write_text("of another kind")
    folder, _ = train(tiny, "copycat", data, "model")
    assert read_yaml(folder / "spec.yaml")["epochs"] == [0]


def test_a_full_disk_costs_no_state(interrupted, data, settings):
    """Files may not grow beyond half of a checkpoint: what a full disk says, from the system itself."""
    before = {name: (interrupted / name).read_bytes() for name in checkpoints.GENERATIONS}
    half = len(before["last.ckpt"]) // 2
    code = f"""
import resource, sys
sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT / "tests")!r}]
from pathlib import Path
from copylens.jobs.job import job
from tiny_trainings import train_into
data = Path({str(data)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({half}, resource.RLIM_INFINITY))
with job(str(data / "log"), 1):
    train_into({settings!r}, data, data / "broken", None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("copylens: "), done.stderr
    assert before == {name: (interrupted / name).read_bytes() for name in checkpoints.GENERATIONS}
    assert not (data / "broken" / "weights.safetensors").exists()
    train_into(settings, data, data / "broken", None)
    train_into(settings, data, data / "straight", None)
    assert weights_of(data / "broken") == weights_of(data / "straight")


def test_a_work_folder_that_cannot_be_written_is_named(data, settings):
    (data / "work").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=f"{data}/work"):
        train_model(settings, 0, files_of(data), data / "model", Unfinished(data / "work" / "model"))
    assert not (data / "model").exists()


@pytest.mark.parametrize("kind", ["latent_diffusion", "vae", "gan", "copycat", "unseen", "empirical_denoiser"])
def test_interrupted_sampling_goes_on_and_ends_with_the_same_bits(tiny, data, kind, monkeypatch):
    folder, upstream = train(tiny, kind, data, "model")
    sampling = tiny_settings(tiny, "models", kind)["sampling"] | {"n_samples": 7, "batch_size": 2}
    straight = draw_into(data / "straight", data, folder, upstream, sampling)
    family = import_module(f"copylens.generation.models.{kind}")
    sample, drawn = family.sample, []

    def stopping(*arguments):
        for batch in sample(*arguments):
            if len(drawn) == 2:
                raise TimeoutError
            drawn.append(batch)
            yield batch

    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(family, "sample", stopping)
        draw_into(data / "broken", data, folder, upstream, sampling)
    assert not list((data / "broken").glob("*.npy"))
    firsts = []
    monkeypatch.setattr(family, "sample", lambda *arguments: firsts.append(arguments[-1]) or sample(*arguments))
    broken = draw_into(data / "broken", data, folder, upstream, sampling)
    assert firsts[0] == 4, "the first four are not drawn again"
    for one, other in zip(straight, broken, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert not (data / "broken" / "work").exists()


def test_interrupted_embedding_goes_on_and_ends_with_the_same_bits(tiny, data, monkeypatch):
    settings = tiny_settings(tiny, "detectors", "random_features") | {"batch_size": 2}
    settings = {key: value for key, value in settings.items() if key not in ("neighbours", "search")}
    images, work = data / "images.npy", Unfinished(data / "work_embedding")
    train_detector(settings, files_of(data), data / "detector", Unfinished(data / "work"))
    embed = Embedder(data / "detector")
    embed_file(embed, images, data / "straight.npy", work)

    class Stopping(Embedder):
        calls = 0

        def __call__(self, images):
            self.calls += 1
            if self.calls == 2:
                raise TimeoutError
            return super().__call__(images)

    with pytest.raises(TimeoutError):
        embed_file(Stopping(data / "detector"), images, data / "broken.npy", work)
    assert not (data / "broken.npy").exists()
    seen = []
    monkeypatch.setattr(
        Embedder, "__call__", lambda self, rows, call=Embedder.__call__: seen.append(len(rows)) or call(self, rows)
    )
    embed_file(embed, images, data / "broken.npy", work)
    assert sum(seen) == len(read_array(images)) - 32
    assert (data / "straight.npy").read_bytes() == (data / "broken.npy").read_bytes()


def test_a_process_killed_while_it_sets_state_aside_is_in_nobodys_way(tmp_path):
    (tmp_path / "work.third").mkdir()
    (tmp_path / "work.third" / "last.ckpt").write_text("left behind")
    claim(tmp_path / "work", {"settings": 1})
    (tmp_path / "work" / "last.ckpt").write_text("state")
    claim(tmp_path / "work", {"settings": 2})
    assert (tmp_path / "work.aside" / "last.ckpt").read_text() == "state"
