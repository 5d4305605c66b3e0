"""What every model and every detector must do. A new file in `models/` or `detectors/` is found by itself.

Each kind needs a tiny entry in configs/tiny.yaml.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT

from copylens import spec, training
from copylens.files import read_array, read_table, read_yaml, write_array
from copylens.generators import as_batch, draw_samples, load_model, train_model
from copylens.similarity import nearest, standardise
from copylens.spec import halve

GRIDS = {"2d": [16, 16], "3d": [8, 8, 8]}
N_SCANS = 48


@pytest.fixture(params=GRIDS)
def data(request, tmp_path) -> Path:
    """A folder with images.npy and splits.tsv: smooth blobs of 16 training, 12 + 12 held-out and 8 other patients."""
    grid = GRIDS[request.param]
    generator = np.random.default_rng(0)
    centres = generator.uniform(0.25, 0.75, (N_SCANS, len(grid)))
    axes = np.meshgrid(*[(np.arange(size) + 0.5) / size for size in grid], indexing="ij")
    centres = centres.T.reshape(len(grid), N_SCANS, *[1] * len(grid))
    distance = sum((axis - centre) ** 2 for axis, centre in zip(axes, centres, strict=True))
    write_array(np.exp(-distance / 0.03), tmp_path / "images.npy")
    roles = ["train"] * 16 + ["calibration"] * 12 + ["control"] * 12 + ["unused"] * 8
    lines = [f"scan_{row}\tpatient_{row}\t{role}" for row, role in enumerate(roles)]
    (tmp_path / "splits.tsv").write_text("\n".join(["scan\tpatient\trole", *lines]) + "\n")
    return tmp_path


def tiny_settings(config: dict, section: str, kind: str) -> dict:
    entries = [entry for entry in config[section].values() if entry["kind"] == kind]
    assert entries, f"configs/tiny.yaml has no entry of kind {kind} in {section}"
    return entries[0]


def long(settings: dict, steps: int) -> dict:
    """`settings` with so many training steps, if there is anything to train."""
    if "training" not in settings:
        return settings
    chunks = {"steps": steps, "checkpoint_every": max(1, steps // 4), "learning_rate": 3e-3}
    return settings | {"training": settings["training"] | chunks}


def train(config: dict, kind: str, data: Path, name: str, steps: int = 6) -> tuple[Path, Path | None]:
    """(folder, upstream folder) of a tiny trained model of one kind."""
    settings = long(tiny_settings(config, "models", kind), steps)
    upstream = None
    if settings.get("autoencoder"):
        below = config["models"][settings["autoencoder"]["model"]]
        upstream = data / f"{name}_upstream"
        train_into(long(below, steps), data, upstream, None)
    train_into(settings, data, data / name, upstream)
    return data / name, upstream


def train_into(settings: dict, data: Path, folder: Path, upstream: Path | None) -> None:
    paths = data / "images.npy", data / "splits.tsv"
    train_model(settings, 0, *paths, upstream, data / f"work_{folder.name}", folder)


def weights_of(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


TINY = spec.load_config(ROOT / "configs" / "tiny.yaml")
KINDS = spec.kinds("models")
TRAINED = [kind for kind in KINDS if "training" in tiny_settings(TINY, "models", kind)]
TRAINED_DETECTORS = [kind for kind in spec.kinds("detectors") if "training" in tiny_settings(TINY, "detectors", kind)]
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
    assert sorted(path.name for path in first.iterdir()) == [
        "losses.csv",
        "snapshots.safetensors",
        "spec.yaml",
        "training_rows.tsv",
        "weights.safetensors",
    ]
    for name in ("weights.safetensors", "losses.csv", "training_rows.tsv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert list(read_table(first / "training_rows.tsv")["row"]) == list(range(16))
    assert not list(data.glob("work_*"))


@pytest.mark.parametrize("kind", SAMPLED)
def test_samples_have_the_grid_lie_in_range_and_repeat(tiny, data, kind):
    folder, upstream = train(tiny, kind, data, "model")
    sampling = tiny_settings(tiny, "models", kind)["sampling"] | {"n_samples": 5, "batch_size": 3}
    outputs = [(data / f"samples{n}.npy", data / f"reconstructed{n}.npy") for n in range(2)]
    for output in outputs:
        draw_samples(folder, upstream, None, sampling, data / "images.npy", data / "splits.tsv", *output)
    samples = read_array(outputs[0][0])
    assert samples.shape == (5, *read_yaml(folder / "spec.yaml")["grid"]) and samples.dtype == np.float32
    assert samples.min() >= 0 and samples.max() <= 1
    assert len(np.unique(samples.reshape(5, -1), axis=0)) > 2
    np.testing.assert_array_equal(samples, read_array(outputs[1][0]))
    assert len(read_array(outputs[0][1])) == (24 if upstream else 0)


@pytest.mark.parametrize(
    ("prediction", "sampler", "schedule", "timesteps"),
    [("epsilon", "ddim", "scaled_linear_beta", 1000), ("v_prediction", "ddpm", "cosine", 100)],
)
def test_diffusion_learns_what_the_images_look_like(tiny, data, prediction, sampler, schedule, timesteps):
    """Samples correlate with their nearest training image, more than those of an untrained network do."""
    tiny["models"]["ldm"] |= {"prediction": prediction, "schedule": schedule, "timesteps": timesteps}
    folder, upstream = train(tiny, "latent_diffusion", data, "model", steps=320)
    family = import_module("copylens.models.latent_diffusion")
    module = load_model(folder, upstream)
    untrained = family.build(module.settings, read_yaml(folder / "spec.yaml")["grid"], load_model(upstream))
    untrained.scale_factor = module.scale_factor
    real = standardise(read_array(data / "images.npy")[:16].reshape(16, -1))
    sampling = {"n_samples": 16, "sampler": sampler, "steps": 20, "batch_size": 16}
    after, before = (
        nearest(standardise(family.sample(each.eval(), 16, 0, sampling).flatten(1).numpy()), real, 1)[0].mean()
        for each in (module, untrained)
    )
    assert after > before + 0.1


def detector_tensors(data: Path) -> tuple[torch.Tensor, torch.Tensor]:
    images = read_array(data / "images.npy")
    return as_batch(images[:16]), as_batch(images[16:28])


@pytest.mark.parametrize("kind", TRAINED_DETECTORS)
def test_a_detector_trains_to_the_same_bits_and_keeps_its_best_weights(tiny, data, kind):
    settings = long(tiny_settings(tiny, "detectors", kind), 40)
    family = import_module(f"copylens.detectors.{kind}")
    train_BC, validation_BC = detector_tensors(data)
    results = []
    for name in ("first", "second"):
        torch.manual_seed(0)
        module = family.build(settings, list(train_BC.shape[2:]))
        losses = training.fit(module, train_BC, 0, data / name, {"name": name}, validation_BC)
        results.append((losses, family.embed(module.eval(), validation_BC)))
    assert results[0][0].equals(results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    validation = results[0][0].query("name == 'validation_loss'")["value"]
    generator = torch.Generator().manual_seed(training.derive_seed(settings["seed"], "validation", 0))
    kept = module.eval()._pair_loss(validation_BC[:8], generator)
    assert kept.item() == pytest.approx(validation.min(), rel=1e-4)


class Stopped(training.Reseed):
    """Fails the training in the midst of chunk `chunk`, as a cluster's time limit would."""

    chunk = None

    def on_train_batch_end(self, trainer, module, *args):
        if trainer.current_epoch == self.chunk:
            raise TimeoutError


def untrained_of(config: dict, section: str, kind: str, data: Path):
    """A function that builds an untrained network of a kind, on an untrained upstream if it has one."""
    settings = long(tiny_settings(config, section, kind), 20)
    grid = list(read_array(data / "images.npy").shape[1:])
    if not settings.get("autoencoder"):
        return lambda: import_module(f"copylens.{section}.{kind}").build(settings, grid)
    below = config["models"][settings["autoencoder"]["model"]]
    torch.manual_seed(1)
    upstream = import_module(f"copylens.models.{below['kind']}").build(below, grid)
    return lambda: import_module(f"copylens.{section}.{kind}").build(settings, grid, upstream)


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
        losses = training.fit(module, train_BC, 0, data / name, {"a": 1}, held_out)
        return losses, {key: value.clone() for key, value in module.weights().items()}

    straight = run("straight")
    for chunk in (1, 2, 3):
        with monkeypatch.context() as patch, pytest.raises(TimeoutError):
            patch.setattr(training, "Reseed", Stopped)
            patch.setattr(Stopped, "chunk", chunk)
            run("broken")
        assert (data / "broken" / "last.ckpt").exists()
    resumed = run("broken")
    assert straight[0].equals(resumed[0])
    assert all(torch.equal(value, resumed[1][name]) for name, value in straight[1].items())


def test_state_of_another_training_is_not_taken_up(tmp_path):
    work = tmp_path / "work"
    training._open_work(work, {"settings": 1})
    (work / "last.ckpt").write_text("state")
    assert training._open_work(work, {"settings": 1}).exists()
    assert not training._open_work(work, {"settings": 2}).exists()


def test_the_adversarial_term_trains_both_networks(tiny, data):
    settings = tiny_settings(tiny, "models", "autoencoder_kl") | {"adversarial_weight": 0.1}
    grid = list(read_array(data / "images.npy").shape[1:])
    if min(grid) < 16:
        pytest.skip("the patch discriminator needs 16 pixels")
    train_into(settings, data, data / "model", None)
    assert {"generator", "discriminator"} <= set(read_table(data / "model" / "losses.csv")["name"])


def test_a_latent_that_cannot_be_halved_says_which_size_would_fit():
    assert halve([16, 12], 2, "grid") == [4, 3]
    message = r"grid: 16x10 can't be halved 2 times; .* multiple of 4, for example 16x8"
    with pytest.raises(ValueError, match=message):
        halve([16, 10], 2, "grid")


@pytest.mark.parametrize("grid", [[8, 8, 8], [64, 32, 16], [20, 24, 30], [4, 4, 4]])
def test_the_papers_3d_encoder_ends_near_4x4x4_on_any_grid(tiny, grid):
    settings = tiny_settings(tiny, "detectors", "ntxent_paper")
    family = import_module("copylens.detectors.ntxent_paper")
    module = family.build(settings, grid).eval()
    final = module.network.net(torch.zeros(1, 1, *grid)).shape[2:]
    assert all(4 <= size <= 8 for size in final)
    assert family.embed(module, torch.rand(3, 1, *grid)).shape == (3, settings["embedding_3d"])


def test_samples_that_are_not_finite_are_refused(tiny, data, monkeypatch):
    folder, upstream = train(tiny, "latent_diffusion", data, "model")
    family = import_module("copylens.models.latent_diffusion")
    monkeypatch.setattr(family, "sample", lambda *_: torch.full((2, 1, 16, 16), torch.nan))
    with pytest.raises(ValueError, match="2 of 2 samples hold values that are not finite"):
        paths = data / "images.npy", data / "splits.tsv", data / "samples.npy", data / "reconstructed.npy"
        draw_samples(folder, upstream, None, {"n_samples": 2}, *paths)
    assert not (data / "samples.npy").exists()


def test_an_epoch_is_as_many_images_as_there_are_in_the_training_set(tiny, data):
    settings = long(tiny_settings(tiny, "models", "autoencoder_kl"), 8)
    settings["training"]["batch_size"] = 12  # of 16
    train_into(settings, data, data / "model", None)
    losses = read_table(data / "model" / "losses.csv")
    assert losses["step"].max() == 8 and losses["epoch"].max() == 8 * 12 // 16


def test_batches_pass_over_the_data_and_do_not_depend_on_where_a_run_began():
    whole = training.Batches(10, 3, chunk_steps=9, total_steps=9, seed=0)
    rows = list(whole)
    for start in range(0, 9, 3):
        passed = [row for batch in rows[start : start + 3] for row in batch]
        assert len(set(passed)) == 9
    chunks = training.Batches(10, 3, chunk_steps=4, total_steps=9, seed=0)
    pieces = []
    for chunk in range(3):
        chunks.set_epoch(chunk)
        pieces += list(chunks)
    assert pieces == rows
