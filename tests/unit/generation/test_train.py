"""What single kinds of network promise, and the training that they share: snapshots, epochs, batches, state."""

from importlib import import_module

import numpy as np
import pytest
import torch
from tiny_trainings import N_SCANS, break_off, draw_into, long, tiny_settings, train, train_into, weights_of

from copylens.detection.search import nearest
from copylens.generation.load import load_model
from copylens.generation.train import reuse_model
from copylens.imaging.correlation import standardise_array
from copylens.jobs.files import read_array, read_table, read_yaml
from copylens.training import batches


@pytest.mark.parametrize(
    ("sampler", "schedule", "timesteps"), [("ddim", "scaled_linear_beta", 1000), ("ddpm", "cosine", 100)]
)
def test_diffusion_learns_what_the_images_look_like(tiny, data, sampler, schedule, timesteps):
    """Samples correlate with their nearest training image, more than those of an untrained network do.

    The other prediction, epsilon, takes longer to learn; that it's sampled right is seen in the memorized limit.
    """
    changes = {"prediction": "v_prediction", "schedule": schedule, "timesteps": timesteps, "ema_decay": 0.9}
    tiny["models"]["ldm"] |= changes
    folder, upstream = train(tiny, "latent_diffusion", data, "model", steps=320)
    family = import_module("copylens.generation.models.latent_diffusion")
    module = load_model(folder, upstream)
    untrained = family.build(module.settings, read_yaml(folder / "spec.yaml")["grid"], load_model(upstream))
    untrained.scale_factor = module.scale_factor
    real = standardise_array(read_array(data / "images.npy")[:16].reshape(16, -1))
    sampling = {"n_samples": 16, "sampler": sampler, "steps": 20, "batch_size": 16}
    after, before = (
        nearest(standardise_array(torch.cat([*family.sample(each.eval(), 16, 0, sampling, 0)]).flatten(1)), real, 1)[
            0
        ].mean()
        for each in (module, untrained)
    )
    assert after > before + 0.1


def test_the_adversarial_term_trains_both_networks(tiny, data):
    settings = tiny_settings(tiny, "models", "autoencoder_kl") | {"adversarial_weight": 0.1}
    grid = list(read_array(data / "images.npy").shape[1:])
    if min(grid) < 16:
        pytest.skip("the patch discriminator needs 16 pixels")
    train_into(settings, data, data / "model", None)
    assert {"generator", "discriminator"} <= set(read_table(data / "model" / "losses.csv")["name"])


class Differences(torch.nn.Module):
    """In the place of a pretrained perceptual network, which would be downloaded."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0), requires_grad=False)

    def forward(self, reconstructed, image):
        return (self.scale * (reconstructed - image)).square().mean()


def test_an_interrupted_training_with_a_perceptual_loss_goes_on_to_the_same_bits(tiny, data, monkeypatch):
    monkeypatch.setattr("copylens.generation.autoencoders._perceptual_loss", lambda n_axes: Differences())
    settings = long(tiny_settings(tiny, "models", "autoencoder_kl"), 8) | {"perceptual_weight": 0.5}
    train_into(settings, data, data / "straight", None)
    break_off(monkeypatch, lambda: train_into(settings, data, data / "broken", None))
    train_into(settings, data, data / "broken", None)
    assert "perceptual" in set(read_table(data / "straight" / "losses.csv")["name"])
    assert weights_of(data / "straight") == weights_of(data / "broken")


def test_a_snapshot_is_the_network_as_it_was_and_survives_an_interruption(tiny, data, monkeypatch):
    """20 steps of 8 of 16 images are 10 epochs; the state after 5 is what a training of 10 steps ends with."""
    settings = long(tiny_settings(tiny, "models", "vae"), 20)
    settings["training"] |= {"snapshots": [5], "decay": "constant"}
    break_off(monkeypatch, lambda: train_into(settings, data, data / "whole", None), chunk=3)
    train_into(settings, data, data / "whole", None)
    losses = read_table(data / "whole" / "losses.csv")
    assert read_yaml(data / "whole" / "spec.yaml")["epochs"] == [5, 10] and losses["epoch"].max() == 10
    shorter = settings | {"training": settings["training"] | {"steps": 10, "snapshots": []}}
    train_into(shorter, data, data / "half", None)
    at_half, half = load_model(data / "whole", epoch=5).weights(), load_model(data / "half").weights()
    assert all(torch.equal(tensor, half[name]) for name, tensor in at_half.items())
    with pytest.raises(ValueError, match="epoch 6 wasn't kept"):
        load_model(data / "whole", epoch=6)
    drawn = read_array(draw_into(data / "drawn", data, data / "whole", None, {"n_samples": 3, "batch_size": 3})[0])
    of_half = read_array(draw_into(data / "of_half", data, data / "half", None, {"n_samples": 3, "batch_size": 3})[0])
    assert drawn.shape[0] == 2 and of_half.shape[0] == 1
    np.testing.assert_array_equal(drawn[0], of_half[0])
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_snapshot_beyond_the_last_epoch_is_refused(tiny, data):
    settings = long(tiny_settings(tiny, "models", "vae"), 20)
    settings["training"]["snapshots"] = [11]
    with pytest.raises(ValueError, match=r"training.snapshots: epoch 11 is beyond the last one, 10"):
        train_into(settings, data, data / "model", None)


def test_denoising_is_measured_on_training_and_on_calibration_images(tiny, data):
    folder, upstream = train(tiny, "latent_diffusion", data, "model")
    sampling = {"n_samples": 2, "batch_size": 2, "sampler": "ddim", "steps": 2}
    losses = read_table(draw_into(data / "drawn", data, folder, upstream, sampling)[2])
    # Two epochs, two roles.
    assert list(losses.groupby(["epoch", "role"]).size()) == [10, 10, 10, 10] and losses["loss"].between(0, 10).all()
    assert losses["timestep"].is_monotonic_increasing is False and losses["timestep"].max() < 100


def test_the_fully_memorized_limit_returns_training_images(tiny, data):
    folder, upstream = train(tiny, "empirical_denoiser", data, "model")
    module = load_model(folder, upstream)
    family = import_module("copylens.generation.models.empirical_denoiser")
    (drawn,) = family.sample(module, 8, 0, {"sampler": "ddim", "steps": 50, "batch_size": 8}, 0)
    decoded = module.autoencoder.decode(module.latents / module.scale_factor)
    distance = torch.cdist(drawn.flatten(1), decoded.flatten(1)).min(dim=1).values
    assert (distance < 0.05 * decoded.flatten(1).norm(dim=1).mean()).all()


def test_the_controls_replay_and_spare_the_training_images(tiny, data):
    images = read_array(data / "images.npy")
    for kind, rows in (("copycat", range(16)), ("unseen", range(40, 48))):
        folder, _ = train(tiny, kind, data, kind)
        family = import_module(f"copylens.generation.models.{kind}")
        drawn = torch.cat([*family.sample(load_model(folder), 8, 0, {"batch_size": 4}, 0)])
        sources = [np.abs(images - image).reshape(N_SCANS, -1).sum(axis=1).argmin() for image in drawn[:, 0].numpy()]
        assert set(sources) <= set(rows)
        assert all(np.array_equal(images[row], image) for row, image in zip(sources, drawn[:, 0].numpy(), strict=True))


def test_a_compiled_network_trains_and_what_cannot_be_compiled_is_refused(tiny, data, monkeypatch):
    """With torch's own tracer, and without a compiler of C++, which a machine may not have."""
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled(self, backend="eager"))
    for kind, works in (("latent_diffusion", True), ("gan", False)):
        settings = tiny_settings(tiny, "models", kind)
        settings["training"]["compile"] = True
        if works:
            folder, upstream = train(tiny, kind, data, kind)
            assert not any("_orig_mod" in name for name in load_model(folder, upstream).weights())
        else:
            with pytest.raises(ValueError, match=r"training\.compile: networks of kind gan can't be compiled"):
                train(tiny, kind, data, kind)


def test_samples_that_are_not_finite_are_refused(tiny, data, monkeypatch):
    folder, upstream = train(tiny, "latent_diffusion", data, "model")
    family = import_module("copylens.generation.models.latent_diffusion")
    grid = read_array(data / "images.npy").shape[1:]
    monkeypatch.setattr(family, "sample", lambda *_: [torch.full((2, 1, *grid), torch.nan)])
    with pytest.raises(ValueError, match="2 of 2 samples hold values that are not finite"):
        draw_into(data / "drawn", data, folder, upstream, {"n_samples": 2})
    assert [path.name for path in data.glob("drawn/*")] == ["work.lock"]


def test_a_diverged_training_stops_at_once_and_says_which_and_where(tiny, data):
    settings = long(tiny_settings(tiny, "models", "vae"), 20)
    settings["training"] |= {"learning_rate": 1e20, "checkpoint_every": 20, "gradient_clip": 1e30}
    with pytest.raises(ValueError, match=r"work_model: the training diverged at step [23] \(its loss is not finite\)"):
        train_into(settings, data, data / "model", None)
    assert not (data / "model").exists()


def test_an_epoch_is_as_many_images_as_there_are_in_the_training_set(tiny, data):
    settings = long(tiny_settings(tiny, "models", "autoencoder_kl"), 8)
    settings["training"]["batch_size"] = 12  # of 16
    train_into(settings, data, data / "model", None)
    losses = read_table(data / "model" / "losses.csv")
    assert losses["step"].max() == 8 and losses["epoch"].max() == 8 * 12 // 16


def test_batches_pass_over_the_data_and_do_not_depend_on_where_a_run_began():
    whole = batches.Batches(10, 3, chunk_steps=9, total_steps=9, seed=0)
    rows = list(whole)
    for start in range(0, 9, 3):
        passed = [row for batch in rows[start : start + 3] for row in batch]
        assert len(set(passed)) == 9
    chunks = batches.Batches(10, 3, chunk_steps=4, total_steps=9, seed=0)
    pieces = []
    for chunk in range(3):
        chunks.set_epoch(chunk)
        pieces += list(chunks)
    assert pieces == rows


def test_a_network_that_is_reused_is_whole_or_refused(tiny, data):
    folder, _ = train(tiny, "vae", data, "model")
    reuse_model(folder, data / "again")
    assert weights_of(data / "again") == weights_of(folder)
    assert sorted(path.name for path in (data / "again").iterdir()) == sorted(path.name for path in folder.iterdir())
    (folder / "weights.safetensors").write_bytes(weights_of(folder)[:-1] + b"?")
    with pytest.raises(ValueError, match=r"weights\.safetensors: isn't what was written there"):
        reuse_model(folder, data / "broken")
    assert not list((data / "broken").glob("*"))
