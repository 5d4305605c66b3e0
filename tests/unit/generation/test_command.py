"""A generator that is a program: its images, its losses, and what it may do wrong."""

import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT
from PIL import Image
from tiny_trainings import draw_into, random_images, train_into

from copylens.config import checks, spec
from copylens.generation.load import load_model
from copylens.generation.models import command
from copylens.jobs.files import read_array, read_table

GRID = (6, 5)
# Writes images of which the seed decides the grey values.
DRAW = """
import pathlib, random, sys
sys.path.insert(0, {packages!r})
import numpy as np
n, seed, out = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
drawn = np.random.default_rng(seed).random((n, 6, 5), dtype=np.float32)
{then}
for number, image in enumerate(drawn):
    np.save(out / f"{{number:04d}}.npy", image)
"""
PACKAGES = str(Path(np.__file__).parents[1])


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Real images, their split, and an empty $COPYLENS_DATA."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return random_images(tmp_path, GRID)


def program(then: str = "", name: str = "draw.py") -> str:
    """A program below $COPYLENS_DATA that changes what it drew by the lines `then`."""
    spec.data_root().joinpath(name).write_text(DRAW.format(packages=PACKAGES, then=then))
    return name


def settings_of(name: str, **more) -> dict:
    """A model's settings, complete, without those of sampling."""
    named = {"kind": "command", "command": [sys.executable, name, "{n}", "{seed}", "{out}"], **more}
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    config["models"]["elsewhere"] = named | {"sampling": {"n_samples": 5}}
    return spec.training_settings(checks.check(config), "elsewhere", "base")


def drawn_from(settings: dict, data: Path, name: str = "model", n: int = 5, batch_size: int = 2) -> np.ndarray:
    """The samples [n, *grid] of a model that was noted anew, if there is none of that name."""
    if not (data / name).exists():
        train_into(settings, data, data / name, None)
    sampling = {"n_samples": n, "batch_size": batch_size}
    return np.array(read_array(draw_into(data / f"drawn_{name}", data, data / name, None, sampling)[0])[-1])


def test_each_batch_has_a_seed_of_its_own_and_every_image_its_place(data):
    images = drawn_from(settings_of(program()), data)
    assert images.shape == (5, *GRID) and len(np.unique(images.reshape(5, -1), axis=0)) == 5
    assert images.min() == 0 and images.max() == 1  # each scaled by its own range
    window = {"kind": "window", "low": 0.0, "high": 2.0}
    assert drawn_from(settings_of(program(), scaling=window), data, "windowed").max() < 0.51
    shorter = drawn_from(settings_of(program()), data, "shorter", n=3)
    np.testing.assert_array_equal(shorter[:2], images[:2])


def test_a_program_of_another_environment_is_run_in_it(data):
    venv.create(data / "elsewhere", with_pip=False)
    python = data / "elsewhere" / "bin" / "python"
    seen = f"assert sys.prefix == {str(data / 'elsewhere')!r}, sys.prefix"
    settings = settings_of(program(seen)) | {"command": [str(python), "draw.py", "{n}", "{seed}", "{out}"]}
    assert len(drawn_from(settings, data)) == 5


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("sys.exit('no more memory')", "ended with exit status 1: no more memory"),
        ("os.kill(os.getpid(), 9)", "status -9"),
    ],
)
def test_drawn_again_after_an_interruption_to_the_same_bytes(data, end, said):
    """The third call fails, or is killed, once: what the first two drew isn't drawn again."""
    whole = drawn_from(settings_of(program()), data, "whole")
    count = data / "calls"
    fails = (
        f"import os; calls = pathlib.Path({str(count)!r}); calls.touch(); calls.write_text(calls.read_text() + 'x')\n"
    )
    fails += f"if len(calls.read_text()) == 3: {end}"
    settings = settings_of(program(fails))
    with pytest.raises(ValueError, match=said):
        drawn_from(settings, data)
    np.testing.assert_array_equal(drawn_from(settings, data), whole)
    assert count.read_text() == "xxxx"


WRONG = {
    "too few": ("drawn = drawn[1:]", "wrote 1 images, not the 2"),
    "too many": ("drawn = np.concatenate([drawn, drawn])", "wrote 4 images, not the 2"),
    "none": ("drawn = []", "wrote no image"),
    "not finite": ("drawn[1, 2, 2] = np.nan", "broken image: 0001.npy: holds values that are not finite"),
    "one value": ("drawn[0] = 0.5", "broken image: 0000.npy: every pixel has the same value"),
    "another grid": ("drawn = drawn[:, :, :4]", "writes images of 6 x 4 pixels, and the data set's grid is 6 x 5"),
    "text": ("(out / 'notes.txt').write_text('no image'); drawn = []", "holds no images"),
    "pickle": ("drawn = [np.array([object()])] * 2", "0000.npy"),
    "an error": ("raise RuntimeError('no such\\x1b[31m checkpoint')", r"exit status 1: RuntimeError: no such\\x1b"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_images_are_one_error_and_leave_nothing(data, fault):
    then, message = WRONG[fault]
    with pytest.raises(ValueError, match=message) as caught:
        drawn_from(settings_of(program(then)), data)
    assert "\n" not in str(caught.value) and "/tmp" not in str(caught.value)
    assert not (data / "drawn_model" / "images.npy").exists()


def test_colours_are_refused(data):
    spec.data_root().joinpath("red.png").write_bytes(b"")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)).save(spec.data_root() / "red.png")
    copies = "import shutil\nfor number in range(n):\n    shutil.copy('red.png', out / f'{number}.png')\ndrawn = []"
    with pytest.raises(ValueError, match="writes colours"):
        drawn_from(settings_of(program(copies)), data)


def test_a_program_that_is_not_there_or_takes_too_long_is_named(data):
    with pytest.raises(ValueError, match=r"command can't be started: .*no_such_program"):
        drawn_from(settings_of("x") | {"command": ["no_such_program"]}, data)
    with pytest.raises(ValueError, match=r"took longer than 0.5 s; raise its seconds"):
        drawn_from(settings_of(program("import time; time.sleep(60)"), seconds=0.5), data, "slow")
    with pytest.raises(ValueError, match=r"there is no file .*weights.pt"):
        drawn_from(settings_of(program(), files=["weights.pt"]), data, "lacking")


def test_what_a_slow_program_started_ends_with_it(data):
    """And the job doesn't wait for it."""
    starts = "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '60'])\n"
    starts += f"pathlib.Path({str(data / 'child')!r}).write_text(str(child.pid)); time.sleep(60)"
    begun = time.monotonic()
    with pytest.raises(ValueError, match="took longer than"):
        drawn_from(settings_of(program(starts), seconds=5), data)
    assert time.monotonic() - begun < 40
    status = Path(f"/proc/{(data / 'child').read_text()}/status")
    assert not status.exists() or "Z (zombie)" in status.read_text()


def test_a_file_that_the_command_names_is_part_of_the_model(data):
    settings = settings_of(program(), files=["weights.bin"])
    (spec.data_root() / "weights.bin").write_bytes(b"1")
    first = drawn_from(settings, data)
    (spec.data_root() / "weights.bin").write_bytes(b"2")
    with pytest.raises(ValueError, match="has changed meanwhile"):
        list(command.sample(load_model(data / "model"), 2, 0, {"batch_size": 2}, 0))
    train_into(settings, data, data / "other", None)
    weights = [(data / name / "weights.safetensors").read_bytes() for name in ("model", "other")]
    assert weights[0] != weights[1]
    np.testing.assert_array_equal(drawn_from(settings, data, "other"), first)


LOSSES = """
import sys
sys.path.insert(0, {packages!r})
import numpy as np
images, timesteps = np.load(sys.argv[1]), [int(step) for step in sys.argv[2].split(",")]
losses = images.mean((1, 2))[:, None] + np.array(timesteps, np.float32) / 1000
{then}
np.save(sys.argv[3], losses)
"""


def with_losses(then: str = "") -> dict:
    spec.data_root().joinpath("losses.py").write_text(LOSSES.format(packages=PACKAGES, then=then))
    return settings_of(program(), losses=[sys.executable, "losses.py", "{images}", "{timesteps}", "{out}"])


def test_losses_are_measured_by_a_second_program(data):
    train_into(with_losses(), data, data / "model", None)
    images = torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]
    losses = command.errors_by_noise(load_model(data / "model"), images, [9, 500], 0)["loss"]
    expected = images.mean(dim=(1, 2, 3))[:, None] + torch.tensor([0.009, 0.5])
    torch.testing.assert_close(losses, expected)
    drawn = draw_into(data / "drawn", data, data / "model", None, {"n_samples": 2, "batch_size": 2})
    table = read_table(drawn[2])
    assert set(table["role"]) == {"train", "calibration"} and len(table) == 20
    (without,) = (draw_into(data / "few", data, _plain(data), None, {"n_samples": 2, "batch_size": 2})[2:],)
    assert read_table(without[0]).empty


def _plain(data: Path) -> Path:
    train_into(settings_of(program()), data, data / "plain", None)
    return data / "plain"


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("losses = losses[1:]", r"it must write finite numbers with a point, \[image, timestep\], here \[12, 2\]"),
        ("losses = losses.astype(int)", "int64"),
        ("losses[0, 0] = np.inf", "not all finite"),
        ("losses = np.array([object()])", "can be read without pickle"),
        ("sys.exit()", "wrote no file"),
    ],
)
def test_wrong_losses_are_one_error(data, then, message):
    train_into(with_losses(then), data, data / "model", None)
    images = torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]
    with pytest.raises(ValueError, match=message):
        command.losses_by_noise(load_model(data / "model"), images, [9, 500], 0)
