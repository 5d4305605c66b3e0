"""What keeps latent diffusion from memorizing: told augmentation, ambient noise, an early stop, guidance, rejection."""

import math

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDPMScheduler
from tiny_trainings import break_off, draw_into, long, tiny_settings, train_into, weights_of

from copylens.config import checks
from copylens.generation import diffusion
from copylens.generation.ambient import Ambient
from copylens.generation.avoidance import TooNear, guided
from copylens.generation.denoising import noise_in, prediction_of
from copylens.generation.load import load_model
from copylens.jobs.files import read_array, read_table, read_yaml

KEPT = DDPMScheduler(num_train_timesteps=1000, schedule="scaled_linear_beta").alphas_cumprod


@pytest.fixture
def below(tiny, data):
    """The folder of a tiny autoencoder."""
    train_into(long(tiny["models"]["autoencoder"], 6), data, data / "below", None)
    return data / "below"


def settings_of(tiny: dict, steps: int = 8, training: dict | None = None, **more) -> dict:
    settings = long(tiny_settings(tiny, "models", "latent_diffusion"), steps) | more
    return settings | {"training": settings["training"] | (training or {})}


RECIPES = {
    "told": {"augment": {"flip": 0.5, "rotation": 0.5, "degrees": 5.0, "condition": True}},
    "ambient": {"ambient": 0.4},
    "stopped": {"training": {"stop": {"rise": 100.0, "images": 8}}},
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_training_goes_on_to_the_same_bits(tiny, data, below, recipe, monkeypatch):
    settings = settings_of(tiny, **RECIPES[recipe])
    train_into(settings, data, data / "straight", below)
    break_off(monkeypatch, lambda: train_into(settings, data, data / "broken", below))
    train_into(settings, data, data / "broken", below)
    assert weights_of(data / "straight") == weights_of(data / "broken")
    train_into(settings_of(tiny), data, data / "plain", below)
    same = weights_of(data / "straight") == weights_of(data / "plain")
    assert same == (recipe == "stopped")  # looking at the gap changes nothing


def test_a_told_network_draws_as_if_nothing_was_changed(tiny, data, below):
    train_into(settings_of(tiny, **RECIPES["told"]), data, data / "model", below)
    module = load_model(data / "model", below)
    noisy, steps = torch.randn(2, *module.autoencoder.latent_shape), torch.tensor([3, 40])
    how = torch.ones(2, module.n_told)
    unchanged, changed = module.predict(noisy, steps), module._output(module.average.module, noisy, steps, how)
    torch.testing.assert_close(unchanged, module._output(module.average.module, noisy, steps, 0 * how))
    assert not torch.allclose(unchanged, changed)


def test_the_network_is_told_what_was_done(tiny, data, below):
    train_into(settings_of(tiny, **RECIPES["told"]), data, data / "model", below)
    module = load_model(data / "model", below)
    images = torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]
    module.settings["augment"] |= {"rotation": 0.0}
    changed, how = module.augmented_by(images)
    dims = images.ndim - 2
    for image, same, told in zip(images, changed, how, strict=True):
        axes = [axis + 1 for axis in range(dims) if told[dims - 1 - axis]]
        torch.testing.assert_close(same, torch.flip(image, axes), atol=1e-4, rtol=0)
    assert 0 < how.sum() < len(images) and not how[:, dims:].any()


def test_above_its_level_ambient_inputs_have_the_schedules_noise_and_one_fixed_part():
    ambient, generator = Ambient(KEPT, 0.4), torch.Generator().manual_seed(0)
    fixed, added = torch.randn(2, 1, 1, 400, 400, generator=generator)
    for timestep in (401, 700, 999):
        noisy = ambient.noisy(torch.zeros_like(fixed), fixed, added, torch.tensor([timestep]))
        assert float(noisy.var()) == pytest.approx(float(1 - KEPT[timestep]), rel=0.03)
        part = float((noisy * fixed).mean()) / float(KEPT[timestep]) ** 0.5
        assert part == pytest.approx(ambient.variance**0.5, abs=0.15)
    assert ambient.applies(torch.tensor([400, 401])).tolist() == [False, True]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_ambient_loss_is_least_for_the_noise_that_really_is_there(prediction):
    """For normally distributed latents the best denoiser is known."""
    ambient, generator = Ambient(KEPT, 0.3), torch.Generator().manual_seed(0)
    steps = torch.full((1,), 600)
    latent, fixed, added = (torch.randn(1, 1, 300, 300, generator=generator) for _ in range(3))
    noisy = ambient.noisy(latent, fixed, added, steps)
    best = (1 - KEPT[600]).sqrt() * noisy  # the expected noise, as latents have deviation 1
    losses = [float(ambient.losses(factor * best, added, steps, prediction)) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] < min(losses[0], losses[2])


def rises_of(settings: dict, data, below, name: str):
    train_into(settings, data, data / name, below)
    losses = read_table(data / name / "losses.csv")
    return losses[losses["name"] == "denoising_gap_rise"]


def test_a_training_stops_where_the_gap_has_risen_too_far(tiny, data, below, capsys):
    def stopping(rise: float) -> dict:
        return settings_of(tiny, steps=60, training={"stop": {"rise": rise, "images": 12}, "checkpoint_every": 10})

    whole = rises_of(stopping(100.0), data, below, "whole")
    assert len(whole) == 6 and "stopped" not in capsys.readouterr().out
    limit = float(whole["value"].iloc[:-1].max()) - 1e-6
    first = int((whole["value"] > limit).argmax())
    short = rises_of(stopping(limit), data, below, "short")
    np.testing.assert_array_equal(short["value"], whole["value"][: first + 1])
    assert "more than training.stop.rise" in capsys.readouterr().out
    epoch = short["step"].iloc[-1] * min(16, stopping(limit)["training"]["batch_size"]) // 16
    assert read_yaml(data / "short" / "spec.yaml")["epochs"][-1] == short["epoch"].iloc[-1] == epoch


def test_a_training_that_stopped_and_lost_its_job_goes_no_further(tiny, data, below, monkeypatch):
    """The job is killed between the stop and the writing of its results."""
    settings = settings_of(tiny, training={"stop": {"rise": 1e-9, "images": 12}})
    _gaps_are(monkeypatch, [0.0, 1.0, 0.0, 1.0])
    train_into(settings, data, data / "whole", below)
    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr("copylens.generation.train.save_module", _killed)
        train_into(settings, data, data / "killed", below)
    train_into(settings, data, data / "killed", below)
    assert weights_of(data / "whole") == weights_of(data / "killed")
    assert read_table(data / "killed" / "losses.csv").equals(read_table(data / "whole" / "losses.csv"))


@pytest.mark.parametrize(
    ("gaps", "rises"), [([-0.3, -0.4, -0.2], [0, 0, 0.2]), ([0.5, 0.5, 0.6, 0.9], [0, 0, 0.1, 0.4])]
)
def test_it_is_the_rise_that_counts_not_where_the_gap_began(tiny, data, below, monkeypatch, gaps, rises):
    _gaps_are(monkeypatch, gaps)
    settings = settings_of(tiny, steps=60, training={"stop": {"rise": 0.15, "images": 12}, "checkpoint_every": 10})
    np.testing.assert_allclose(rises_of(settings, data, below, "short")["value"], rises, atol=1e-12)


def _gaps_are(monkeypatch, gaps: list[float]) -> None:
    denoiser = "copylens.generation.models.latent_diffusion.LatentDiffusion"
    remaining = iter(gaps)
    monkeypatch.setattr(f"{denoiser}.denoising_gap", lambda *_: next(remaining))


def _killed(*_):
    raise TimeoutError


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_noise_and_prediction_are_inverse(kind):
    prediction, noisy = torch.randn(2, 3, 4, 4)
    kept = torch.tensor([0.1, 0.5, 0.9]).view(-1, 1, 1)
    torch.testing.assert_close(prediction_of(noise_in(prediction, noisy, kept, kind), noisy, kept, kind), prediction)


def test_the_limit_of_nearness_is_the_percentile_of_calibration_images():
    generator = torch.Generator().manual_seed(0)
    training, calibration = (torch.randn(30, 1, 8, 8, generator=generator) for _ in range(2))
    near = TooNear(training, calibration, 90)
    assert int((near.similarity(calibration) > near.limit).sum()) == 3
    torch.testing.assert_close(near.similarity(training), torch.ones(30))
    shifted = TooNear(training + 5, calibration + 5, 90, centred=True)
    assert math.isclose(shifted.limit, TooNear(training, calibration, 90, centred=True).limit, abs_tol=1e-5)


@pytest.fixture
def trained(tiny, data, below):
    """A diffusion model that learnt a little."""
    train_into(settings_of(tiny, steps=120, ema_decay=0.9), data, data / "ldm", below)
    return data / "ldm"


def drawn_by(data, trained, below, name: str, **more) -> torch.Tensor:
    sampling = {"n_samples": 12, "sampler": "ddim", "steps": 12, "batch_size": 7} | more
    path = draw_into(data / name, data, trained, below, sampling)[0]
    return torch.from_numpy(np.array(read_array(path)[-1]))[:, None]


class Latents(torch.nn.Module):
    """An autoencoder whose latents are the images, and a network on them that was shown T and V."""

    device, scale_factor = torch.device("cpu"), torch.ones(())

    def __init__(self, prediction: str):
        super().__init__()
        self.settings, self.autoencoder = {"prediction": prediction}, self
        generator = torch.Generator().manual_seed(0)
        self.known = {role: torch.randn(30, 1, 6, 6, generator=generator) for role in ("train", "calibration")}

    def encode(self, images):
        return images, torch.zeros_like(images)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_guidance_leads_away_from_what_is_too_near_and_leaves_the_rest(prediction):
    module, generator = Latents(prediction), torch.Generator().manual_seed(1)
    near = TooNear(module.known["train"], module.known["calibration"], 50.0, centred=True)
    clean = torch.cat([module.known["train"][:4], torch.randn(4, 1, 6, 6, generator=generator)])
    kept, steps = KEPT[300], torch.full((8,), 300)
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * torch.randn(clean.shape, generator=generator)

    def predict(noisy, steps):  # whoever is seen there, a little blurred
        seen = 0.8 * clean + 0.2 * noisy
        return prediction_of((noisy - kept.sqrt() * seen) / (1 - kept).sqrt(), noisy, kept, prediction)

    def seen_by(predict):
        noise = noise_in(predict(noisy, steps), noisy, kept, prediction)
        return (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()

    sampling = {"batch_size": 8, "guidance": {"scale": 0.5, "percentile": 50.0}}
    before, after = seen_by(predict), seen_by(guided(predict, module, KEPT, sampling))
    beyond = near.similarity(before) > near.limit
    assert beyond[:4].all() and not beyond.all()
    assert (near.similarity(after)[beyond] < near.similarity(before)[beyond]).all()
    torch.testing.assert_close(after[~beyond], before[~beyond], atol=1e-4, rtol=1e-4)


def test_what_is_too_near_is_drawn_anew(data, trained, below, monkeypatch):
    """Where the limit is such that every second sample is too near."""
    images = torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]
    plain = drawn_by(data, trained, below, "plain")
    near = TooNear(images[:16], images[16:28], 50.0)
    near.limit = float(near.similarity(plain).median())
    monkeypatch.setattr(diffusion, "rejecting", lambda module, sampling: near)
    drawn, again = (drawn_by(data, trained, below, name, reject={"percentile": 50.0}) for name in ("one", "two"))
    torch.testing.assert_close(drawn, again, rtol=0, atol=0)
    assert (near.similarity(drawn) <= near.limit).all()
    kept = near.similarity(plain)[:7] <= near.limit
    assert 0 < kept.sum() < 7
    torch.testing.assert_close(drawn[:7][kept], plain[:7][kept])


def test_a_network_that_draws_nothing_but_copies_is_refused():
    training = torch.rand(5, 1, 4, 4)
    near = TooNear(training, torch.rand(5, 1, 4, 4), 95.0)
    with pytest.raises(ValueError, match=r"sampling.reject: after 50 draws"):
        diffusion._redrawn(training.clone(), near, lambda n: training[:n])


@pytest.mark.parametrize("wrong", ["augmented", "vae", "detector"])
def test_settings_that_contradict_are_refused_by_key(tiny, wrong):
    if wrong == "augmented":
        tiny["models"]["ldm"] |= {"ambient": 0.5, "augment": {}}
        message = r"models.ldm.ambient: .*leave out augment"
    elif wrong == "vae":
        tiny["models"]["vae"]["training"]["stop"] = {}
        message = r"models.vae.training.stop: networks of kind vae don't denoise"
    else:
        tiny["detectors"]["ntxent"]["training"]["stop"] = {}
        message = r"detectors.ntxent.training.stop: detectors don't denoise"
    with pytest.raises(ValueError, match=message):
        checks.check(tiny)


def test_guidance_without_the_images_at_hand_is_refused(tiny, data, below):
    train_into(settings_of(tiny), data, data / "ldm", below)
    from copylens.generation.models import latent_diffusion

    sampling = {"n_samples": 2, "sampler": "ddim", "steps": 2, "batch_size": 2, "guidance": {"scale": 1.0}}
    with pytest.raises(ValueError, match=r"sampling.guidance: needs the training images"):
        next(latent_diffusion.sample(load_model(data / "ldm", below), 2, 0, sampling, 0))
