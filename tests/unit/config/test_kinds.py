"""What every model and every detector must do. A new file in `models/` or `detectors/` is found by itself.

Each kind needs a tiny entry in configs/tiny.yaml.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from tiny_trainings import Stopped, draw_into, long, tiny_settings, train

from copylens.config import checks
from copylens.config.grids import halve
from copylens.config.kinds import implementation, kinds, settings_schema
from copylens.jobs.files import read_array, read_table, read_yaml
from copylens.jobs.workdir import Unfinished
from copylens.training import loop
from copylens.training.tensors import as_batch

TINY = checks.load_config(ROOT / "configs" / "tiny.yaml")
# Those that read a folder of the user's have tests of their own, in tests/unit/generation/.
KINDS = [kind for kind in kinds("models") if "folder" not in settings_schema("models", kind)["properties"]]
TRAINED = [kind for kind in KINDS if "training" in tiny_settings(TINY, "models", kind)]
TRAINED_DETECTORS = [
    kind for kind in kinds("detectors") if "training" in settings_schema("detectors", kind)["properties"]
]
SAMPLED = [kind for kind in KINDS if "sampling" in tiny_settings(TINY, "models", kind)]


# The two losses of a GAN rise and fall with each other; whether it learns is seen in its samples.
@pytest.mark.parametrize("kind", [kind for kind in TRAINED if kind != "gan"])
def test_a_models_loss_falls(tiny, data, kind):
    folder, _ = train(tiny, kind, data, "model", steps=120)
    losses = read_table(folder / "losses.csv").query("name == 'loss'")["value"].to_numpy()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_leaves_whole_files_and_trains_again_to_the_same_bits(tiny, data, kind):
    first, _ = train(tiny, kind, data, "first")
    second, _ = train(tiny, kind, data, "second")
    assert sorted(path.name for path in first.iterdir() if not path.name.startswith(".")) == [
        "losses.csv",
        "snapshots.safetensors",
        "spec.yaml",
        "training_rows.tsv",
        "weights.safetensors",
    ]
    for name in ("weights.safetensors", "losses.csv", "training_rows.tsv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert list(read_table(first / "training_rows.tsv")["row"]) == list(range(16))
    assert not [path for path in data.glob("work_*") if path.suffix != ".lock"]


@pytest.mark.parametrize("kind", SAMPLED)
def test_samples_have_the_grid_lie_in_range_and_repeat(tiny, data, kind):
    folder, upstream = train(tiny, kind, data, "model")
    sampling = tiny_settings(tiny, "models", kind)["sampling"] | {"n_samples": 5, "batch_size": 3}
    outputs = [draw_into(data / name, data, folder, upstream, sampling) for name in ("first", "second")]
    *_, samples = read_array(outputs[0][0])
    assert samples.shape == (5, *read_yaml(folder / "spec.yaml")["grid"]) and samples.dtype == np.float32
    assert samples.min() >= 0 and samples.max() <= 1
    assert len(np.unique(samples.reshape(5, -1), axis=0)) > 2
    np.testing.assert_array_equal(samples, read_array(outputs[1][0])[-1])
    assert len(read_array(outputs[0][1])) == (24 if upstream else 0)


def detector_tensors(data: Path) -> tuple[torch.Tensor, torch.Tensor]:
    images = read_array(data / "images.npy")
    return as_batch(images[:16]), as_batch(images[16:28])


@pytest.mark.parametrize("kind", TRAINED_DETECTORS)
def test_a_detector_trains_to_the_same_bits_and_keeps_its_best_weights(tiny, data, kind):
    settings = long(tiny_settings(tiny, "detectors", kind), 40)
    family = import_module(f"copylens.detection.detectors.{kind}")
    train_BC, validation_BC = detector_tensors(data)
    results = []
    for name in ("first", "second"):
        torch.manual_seed(0)
        module = family.build(settings, list(train_BC.shape[2:]))
        losses = loop.fit(module, train_BC, 0, Unfinished(data / name), {"name": name}, validation_BC)
        results.append((losses, family.embed(module.eval(), validation_BC)))
    assert results[0][0].equals(results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    validation = results[0][0].query("name == 'validation_loss'")["value"]
    with torch.no_grad():
        kept = module.eval().validation_step((validation_BC[:8],), 0)
    assert kept.item() == pytest.approx(validation.min(), rel=1e-4)


def untrained_of(config: dict, section: str, kind: str, data: Path):
    """A function that builds an untrained network of a kind, on an untrained upstream if it has one."""
    settings = long(tiny_settings(config, section, kind), 20)
    grid = list(read_array(data / "images.npy").shape[1:])
    if not settings.get("autoencoder"):
        return lambda: implementation(section, kind).build(settings, grid)
    below = config["models"][settings["autoencoder"]["model"]]
    torch.manual_seed(1)
    upstream = import_module(f"copylens.generation.models.{below['kind']}").build(below, grid)
    return lambda: implementation(section, kind).build(settings, grid, upstream)


@pytest.mark.parametrize(
    ("section", "kind"),
    [("models", kind) for kind in TRAINED] + [("detectors", kind) for kind in TRAINED_DETECTORS],
)
def test_an_interrupted_training_ends_with_the_same_bits(tiny, data, section, kind, monkeypatch):
    train_BC, validation_BC = detector_tensors(data)
    untrained = untrained_of(tiny, section, kind, data)
    held_out = validation_BC if section == "detectors" else None

    def run(name):
        torch.manual_seed(0)
        module = untrained()
        losses = loop.fit(module, train_BC, 0, Unfinished(data / name), {"a": 1}, held_out)
        return losses, {key: value.clone() for key, value in module.weights().items()}

    straight = run("straight")
    for chunk in (1, 2, 3):
        with monkeypatch.context() as patch, pytest.raises(TimeoutError):
            patch.setattr(loop, "Reseed", Stopped)
            patch.setattr(Stopped, "chunk", chunk)
            run("broken")
        assert (data / "broken" / "last.ckpt").exists()
    resumed = run("broken")
    assert straight[0].equals(resumed[0])
    assert all(torch.equal(value, resumed[1][name]) for name, value in straight[1].items())


def test_a_latent_that_cannot_be_halved_says_which_size_would_fit():
    assert halve([16, 12], 2, "grid") == [4, 3]
    message = r"grid: 16x10 can't be halved 2 times; .* multiple of 4, for example 16x8"
    with pytest.raises(ValueError, match=message):
        halve([16, 10], 2, "grid")


@pytest.mark.parametrize("grid", [[8, 8, 8], [64, 32, 16], [20, 24, 30], [4, 4, 4]])
def test_the_papers_3d_encoder_ends_near_4x4x4_on_any_grid(tiny, grid):
    settings = tiny_settings(tiny, "detectors", "ntxent_paper")
    family = import_module("copylens.detection.detectors.ntxent_paper")
    module = family.build(settings, grid).eval()
    final = module.network.net(torch.zeros(1, 1, *grid)).shape[2:]
    assert all(4 <= size <= 8 for size in final)
    assert family.embed(module, torch.rand(3, 1, *grid)).shape == (3, settings["embedding_3d"])
