"""Pipelines that diffusers saved: drawn and measured as diffusers does, and nothing of a hostile folder is run."""

import json
import os
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_trainings import draw_into, random_images, train_into

from copylens.generation.load import load_model
from copylens.generation.models import diffusers_pipeline
from copylens.jobs.files import read_array, read_table, read_yaml
from copylens.jobs.seeds import derive_seed

SIZE = 16
LEVELS = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
WEIGHTS = "diffusion_pytorch_model.safetensors"


def unet(size: int = SIZE, channels: int = 1, **more) -> diffusers.UNet2DModel:
    torch.manual_seed(1)
    levels = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    return diffusers.UNet2DModel(
        sample_size=size, in_channels=channels, out_channels=channels, add_attention=False, **LEVELS, **levels, **more
    )


def autoencoder(family: str):
    torch.manual_seed(2)
    levels = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return getattr(diffusers, family)(in_channels=1, out_channels=1, latent_channels=3, **LEVELS, **levels)


def scheduler(family: str = "DDPMScheduler", prediction: str = "epsilon"):
    return getattr(diffusers, family)(num_train_timesteps=50, prediction_type=prediction)


PIPELINES = {
    "pixels": lambda: diffusers.DDPMPipeline(unet(), scheduler()),
    "velocity": lambda: diffusers.DDIMPipeline(unet(), scheduler("DDIMScheduler", "v_prediction")),
    "of samples": lambda: diffusers.DDPMPipeline(unet(), scheduler("DDPMScheduler", "sample")),
    "solver": lambda: diffusers.DDPMPipeline(unet(), scheduler("DPMSolverMultistepScheduler")),
    "codes": lambda: diffusers.LDMPipeline(autoencoder("VQModel"), unet(SIZE // 2, 3), scheduler("DDIMScheduler")),
    "latents": lambda: diffusers.LDMPipeline(
        autoencoder("AutoencoderKL"), unet(SIZE // 2, 3), scheduler("PNDMScheduler")
    ),
}


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Real images, their split, and an empty $COPYLENS_DATA."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return random_images(tmp_path, (SIZE, SIZE))


def settings_of(**more) -> dict:
    return {
        "kind": "diffusers_pipeline", "n_train": None, "folder": "saved", "epoch": 0, "earlier": [], "batch_size": 5
    } | more  # fmt: skip


def noted(data: Path, name: str = "model", **more) -> Path:
    """The folder of a model that was read from the user's."""
    train_into(settings_of(**more), data, data / name, None)
    return data / name


def read_again(data: Path):
    return load_model(noted(data))


def images_of(data: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]


@pytest.mark.parametrize("kind", PIPELINES)
def test_it_draws_what_diffusers_draws(data, kind):
    PIPELINES[kind]().save_pretrained(data / "data" / "saved")
    sampling = {"n_samples": 5, "batch_size": 3, "steps": 4}
    drawn = read_array(draw_into(data / "drawn", data, noted(data), None, sampling)[0])[-1]
    own = PIPELINES[kind]()
    expected = [
        own(batch_size=size, generator=torch.Generator().manual_seed(derive_seed(0, "sample", start)),
            num_inference_steps=4, output_type="np").images[..., 0]
        for start, size in ((0, 3), (3, 2))
    ]  # fmt: skip
    np.testing.assert_allclose(drawn, np.concatenate(expected), atol=1e-5)
    assert drawn.std() > 0.01


@pytest.mark.parametrize("kind", PIPELINES)
def test_losses_are_those_of_diffusers_own_schedule(data, kind):
    PIPELINES[kind]().save_pretrained(data / "data" / "saved")
    images = images_of(data)
    found = diffusers_pipeline.losses_by_noise(read_again(data), images, [3, 40], 7)
    pipeline, generator = PIPELINES[kind](), torch.Generator().manual_seed(derive_seed(7, "denoising"))
    schedule = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    expected = []
    for chunk in images.split(5):
        latent = 2 * chunk - 1
        if kind == "codes":
            latent = pipeline.vqvae.encode(latent).latents * pipeline.vqvae.config.scaling_factor
        elif kind == "latents":
            latent = pipeline.vqvae.encode(latent).latent_dist.mean * pipeline.vqvae.config.scaling_factor
        noise = torch.randn(latent.shape, generator=generator)
        rows = []
        for timestep in (3, 40):
            steps = torch.full((len(latent),), timestep)
            target = {"velocity": lambda: schedule.get_velocity(latent, noise, steps), "of samples": lambda: latent}  # noqa: B023
            target = target.get(kind, lambda: noise)()  # noqa: B023
            predicted = pipeline.unet(schedule.add_noise(latent, noise, steps), steps).sample
            rows.append(((predicted - target) ** 2).flatten(1).mean(1))
        expected.append(torch.stack(rows, dim=1))
    torch.testing.assert_close(found, torch.cat(expected).detach(), atol=1e-5, rtol=1e-5)
    errors = diffusers_pipeline.errors_by_noise(read_again(data), images, [3, 40], 7)
    assert set(errors) == {"loss", "middle", "norm"} and all(torch.isfinite(each).all() for each in errors.values())


def test_the_noise_is_found_again_whatever_the_network_predicts(data):
    for kind in ("pixels", "velocity", "of samples"):
        PIPELINES[kind]().save_pretrained(data / "data" / "saved")
        module = read_again(data)
        latent, noise = torch.randn(2, 4, 1, 8, 8)
        noisy, target = module.noisy_and_target(latent, noise, torch.full((4,), 30))
        torch.testing.assert_close(module.noise_of(target, noisy, 30), noise, atol=1e-4, rtol=1e-4)


def test_a_network_alone_is_enough(data):
    folder = data / "data" / "saved"
    unet().save_pretrained(folder)
    scheduler().save_pretrained(folder)
    assert len(read_array(draw_into(data / "drawn", data, noted(data), None, sampling())[0])[-1]) == 2


def sampling() -> dict:
    return {"n_samples": 2, "batch_size": 2, "steps": 2}


def test_earlier_states_of_a_training_are_snapshots(data):
    for number, name in enumerate(("saved", "early")):
        pipeline = PIPELINES["pixels"]()
        with torch.no_grad():
            pipeline.unet.conv_out.bias += number
        pipeline.save_pretrained(data / "data" / name)
    folder = noted(data, epoch=90, earlier=[{"epoch": 30, "path": "early"}])
    assert read_yaml(folder / "spec.yaml")["epochs"] == [30, 90]
    outputs = draw_into(data / "drawn", data, folder, None, sampling())
    states = read_array(outputs[0])
    assert states.shape == (2, 2, SIZE, SIZE) and not np.allclose(states[0], states[1])
    assert set(read_table(outputs[2])["epoch"]) == {30, 90}
    with pytest.raises(ValueError, match=r"models.earlier: epochs must differ"):
        noted(data, "wrong", epoch=30, earlier=[{"epoch": 30, "path": "early"}])


def test_the_users_folder_is_needed_only_once(data):
    PIPELINES["codes"]().save_pretrained(data / "data" / "saved")
    folder = noted(data)
    (data / "data" / "saved").rename(data / "data" / "gone")
    assert len(read_array(draw_into(data / "drawn", data, folder, None, sampling())[0])[-1]) == 2
    with pytest.raises(ValueError, match=r"models.folder: there is no folder"):
        noted(data, "again")


def change(path: Path, **changes) -> None:
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | changes))


def _link_outside(folder: Path) -> None:
    outside = folder.parent / "elsewhere.safetensors"
    (folder / "unet" / WEIGHTS).rename(outside)
    (folder / "unet" / WEIGHTS).symlink_to(outside)


def _pickle(folder: Path) -> None:
    (folder / "unet" / WEIGHTS).unlink()
    torch.save({"x": os.system}, folder / "unet" / "diffusion_pytorch_model.bin")


def _truncated(folder: Path) -> None:
    path = folder / "unet" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def _other_weights(folder: Path) -> None:
    tensors = load_file(folder / "unet" / WEIGHTS)
    tensors["conv_in.weight"] = torch.zeros(8, 1, 5, 5)
    save_file(tensors, folder / "unet" / WEIGHTS)


def _lacking(folder: Path) -> None:
    tensors = load_file(folder / "unet" / WEIGHTS)
    del tensors["conv_in.weight"]
    save_file(tensors, folder / "unet" / WEIGHTS)


UNET, INDEX, SCHEDULE = "unet/config.json", "model_index.json", "scheduler/scheduler_config.json"
HOSTILE = {
    "a pickle": (_pickle, r"unet/diffusion_pytorch_model.bin: is a pickle"),
    "weights behind a link": (_link_outside, r"unet/diffusion_pytorch_model.safetensors: leads out of"),
    "no weights": (lambda folder: (folder / "unet" / WEIGHTS).unlink(), "safetensors: isn't in the generator's folder"),
    "half of the weights": (_truncated, "is no safetensors file"),
    "other shapes": (_other_weights, r"'conv_in.weight' has the shape \[8, 1, 5, 5\], not \[8, 1, 3, 3\]"),
    "a layer too few": (_lacking, "it lacks 'conv_in.weight'"),
    "another pipeline": (lambda folder: change(folder / INDEX, _class_name="os.system"), "the pipeline is 'os.system'"),
    "a pipeline of its own": (lambda folder: change(folder / INDEX, _class_name=["my", "Mine"]), "the pipeline is"),
    "another network": (lambda folder: change(folder / UNET, _class_name="subprocess"), "the network is 'subprocess'"),
    "another scheduler": (lambda folder: change(folder / SCHEDULE, _class_name="__init__"), "the scheduler is"),
    "a condition": (lambda folder: change(folder / UNET, _class_name="UNet2DConditionModel"), "on a condition"),
    "a class": (lambda folder: change(folder / UNET, num_class_embeds=3), "draws images of a class"),
    "colours": (lambda folder: change(folder / UNET, in_channels=3), "in_channels is 3"),
    "another grid": (lambda folder: change(folder / UNET, sample_size=32), "draws images of 32 x 32 pixels"),
    "no size": (lambda folder: change(folder / UNET, sample_size=None), "sample_size is None"),
    "a huge network": (
        lambda folder: change(folder / UNET, block_out_channels=[2**18, 2**18]), "describes a network of"
    ),
    "a thousand levels": (
        lambda folder: change(folder / UNET, block_out_channels=[8] * 1000), "block_out_channels has more than 64"
    ),
    "endless layers": (
        lambda folder: change(folder / UNET, layers_per_block=10**9), "layers_per_block is 1000000000; it must be"
    ),
    "no levels": (lambda folder: change(folder / UNET, block_out_channels=[]), "no network can be made"),
    "no JSON": (lambda folder: (folder / UNET).write_text("[" * 100_000), r"unet/config.json: is no JSON file"),
    "a list": (lambda folder: (folder / UNET).write_text("[]"), "must hold a map"),
    "a large file": (lambda folder: (folder / UNET).write_text(" " * 2**21), "has more than 1 MiB"),
    "endless steps": (lambda folder: change(folder / SCHEDULE, num_train_timesteps=10**12), "must be a whole number"),
    "another prediction": (lambda folder: change(folder / SCHEDULE, prediction_type="flow"), "prediction_type is"),
    "no schedule": (lambda folder: change(folder / SCHEDULE, beta_schedule="x"), "no scheduler can be made"),
    "not finite": (lambda folder: change(folder / SCHEDULE, trained_betas=[float("nan")] * 50), "isn't finite"),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_folder_that_is_wrong_or_hostile_is_refused(data, fault):
    folder = data / "data" / "saved"
    PIPELINES["pixels"]().save_pretrained(folder)
    spoil, message = HOSTILE[fault]
    spoil(folder)
    with pytest.raises(ValueError, match=message) as caught:
        noted(data)
    assert "\n" not in str(caught.value) and str(data) not in str(caught.value)
    assert not (data / "model").exists() or not list((data / "model").iterdir())
