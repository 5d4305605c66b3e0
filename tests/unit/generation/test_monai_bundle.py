"""MONAI bundles: measured as MONAI's own inferer does, parsed without evaluating anything, hostile ones refused."""

import json
import math
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import LatentDiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from tiny_trainings import draw_into, random_images, train_into

from copylens.generation import bundles, latent_scale
from copylens.generation.load import load_model
from copylens.generation.models import monai_bundle
from copylens.jobs.files import read_array, read_yaml
from copylens.jobs.seeds import derive_seed

SIZE, SCALE = 16, 1.7
BETAS = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}


def settings_of_networks(dims: int = 2) -> tuple[dict, dict]:
    shared = {"spatial_dims": dims, "num_res_blocks": 1, "norm_num_groups": 4}
    autoencoder = shared | {"in_channels": 1, "out_channels": 1, "channels": [4, 8], "latent_channels": 2}
    autoencoder |= {"attention_levels": [False, True], "with_encoder_nonlocal_attn": True}
    unet = shared | {"in_channels": 2, "out_channels": 2, "channels": [8, 8], "num_head_channels": [4, 4]}
    return autoencoder, unet | {"attention_levels": [False, True]}


def networks(dims: int = 2) -> tuple[AutoencoderKL, DiffusionModelUNet]:
    torch.manual_seed(3)
    autoencoder, unet = settings_of_networks(dims)
    return AutoencoderKL(**autoencoder).eval(), DiffusionModelUNet(**unet).eval()


def config_of(dims: int = 2, prediction: str = "epsilon", package: str = "monai") -> dict:
    """As `monai.bundle` configurations are written: with references, and entries that would have to be evaluated."""
    autoencoder, unet = settings_of_networks(dims)
    levels = {"channels": autoencoder["channels"], "latents": autoencoder["latent_channels"]}
    return {
        "imports": ["$import torch", "$import os"],
        "device": "$torch.device('cuda')",
        "spatial_dims": dims,
        "levels": levels,
        "latent_shape": ["@levels::latents", *[SIZE // 2] * dims],
        "autoencoder_def": autoencoder | {
            "_target_": f"{package}.networks.nets.AutoencoderKL",
            "spatial_dims": "@spatial_dims", "channels": "@levels#channels", "latent_channels": "@levels::latents",
        },
        "network_def": unet | {
            "_target_": f"{package}.networks.nets.DiffusionModelUNet", "in_channels": "@levels::latents",
        },
        "autoencoder": "$@autoencoder_def.to(@device)",
        "noise_scheduler": {
            "_target_": f"{package}.networks.schedulers.DDIMScheduler", "_requires_": ["@load"],
            "num_train_timesteps": 60, "prediction_type": prediction, **BETAS,
        },
        "inferer": {"_target_": "scripts.ldm_sampler.LDMSampler"},
    }  # fmt: skip


def write_bundle(folder: Path, config: dict, dims: int = 2) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    autoencoder, unet = networks(dims)
    torch.save(autoencoder.state_dict(), folder / "models" / "model_autoencoder.pt")
    torch.save({"model": unet.state_dict()}, folder / "models" / "model.pt")
    return folder


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Real images, their split, and an empty $COPYLENS_DATA."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return random_images(tmp_path, (SIZE, SIZE))


def settings_of(**more) -> dict:
    return {
        "kind": "monai_bundle", "n_train": None, "folder": "bundle", "config": "configs/inference.json",
        "weights": "models/model.pt", "autoencoder_weights": "models/model_autoencoder.pt", "scale_factor": SCALE,
        "black": 0.0, "white": 1.0, "epoch": 0, "earlier": [], "batch_size": 5,
    } | more  # fmt: skip


def noted(data: Path, name: str = "model", **more) -> Path:
    train_into(settings_of(**more), data, data / name, None)
    return data / name


def images_of(data: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(read_array(data / "images.npy")))[:, None]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("dims", [2, 3])
def test_losses_are_those_of_monais_own_inferer(data, dims, prediction, monkeypatch):
    write_bundle(random_images(data, (SIZE,) * dims) / "data" / "bundle", config_of(dims, prediction), dims)
    images = images_of(data)
    found = monai_bundle.losses_by_noise(load_model(noted(data)), images, [3, 40], 7)
    autoencoder, unet = networks(dims)
    monkeypatch.setattr(autoencoder, "sampling", lambda mean, deviation: mean)
    scheduler = DDPMScheduler(num_train_timesteps=60, prediction_type=prediction, **BETAS)
    inferer = LatentDiffusionInferer(scheduler, scale_factor=SCALE)
    generator, expected = torch.Generator().manual_seed(derive_seed(7, "denoising")), []
    for chunk in images.split(5):
        latent = autoencoder.encode(chunk)[0] * SCALE
        noise = torch.randn(latent.shape, generator=generator)
        rows = []
        for timestep in (3, 40):
            steps = torch.full((len(chunk),), timestep)
            target = noise if prediction == "epsilon" else scheduler.get_velocity(latent, noise, steps)
            predicted = inferer(chunk, autoencoder, unet, noise=noise, timesteps=steps)
            rows.append(((predicted - target) ** 2).flatten(1).mean(1))
        expected.append(torch.stack(rows, dim=1))
    torch.testing.assert_close(found, torch.cat(expected).detach(), atol=1e-5, rtol=1e-5)


def test_it_draws_images_of_the_grid_and_repeats_them(data):
    write_bundle(data / "data" / "bundle", config_of())
    sampling = {"n_samples": 3, "sampler": "ddim", "steps": 3, "batch_size": 2}
    folder = noted(data)
    (data / "data" / "bundle").rename(data / "data" / "gone")  # it's read once
    first, again = (read_array(draw_into(data / name, data, folder, None, sampling)[0])[-1] for name in ("a", "b"))
    assert first.shape == (3, SIZE, SIZE) and first.min() >= 0 and first.max() <= 1 and first.std() > 0
    np.testing.assert_array_equal(first, again)


def test_other_grey_values_are_brought_to_those_of_its_training(data):
    write_bundle(data / "data" / "bundle", config_of())
    images = images_of(data)
    module = load_model(noted(data, black=-1.0, white=1.0))
    mean = networks()[0].encode(2 * images - 1)[0].detach() * SCALE
    torch.testing.assert_close(module.latents(images), mean)
    dark = module.autoencoder.decode(mean / SCALE)
    torch.testing.assert_close(dark, ((networks()[0].decode(mean / SCALE).detach() + 1) / 2).clamp(0, 1))


def test_a_zip_and_names_of_before_are_read(data):
    """As MONAI Generative Models wrote them: other classes' places, `num_channels`, other names of layers."""
    config = config_of(package="generative")
    for part in ("autoencoder_def", "network_def"):
        config[part]["num_channels"] = config[part].pop("channels")
    folder = write_bundle(data / "elsewhere", config)
    for name, network in zip(("model_autoencoder.pt", "model.pt"), networks(), strict=True):
        old = {
            key.replace(".attn.out_proj.", ".proj_attn.").replace(".attn.", ".").replace("postconv", "conv"): tensor
            for key, tensor in network.state_dict().items()
        }
        assert old.keys() != network.state_dict().keys()
        torch.save(old, folder / "models" / name)
    with zipfile.ZipFile(data / "data" / "bundle.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"brats/{path.relative_to(folder)}")
    module = load_model(noted(data, folder="bundle.zip"))
    noisy, steps = torch.randn(2, 2, 8, 8), torch.tensor([3, 40])
    torch.testing.assert_close(module.predict(noisy, steps), networks()[1](noisy, steps).detach())
    torch.testing.assert_close(
        module.latents(images_of(data)), networks()[0].encode(images_of(data))[0].detach() * SCALE
    )


def test_earlier_states_are_other_files_of_the_bundle(data):
    folder = write_bundle(data / "data" / "bundle", config_of())
    torch.save({k: v + 0.1 for k, v in networks()[1].state_dict().items()}, folder / "models" / "early.pt")
    model = noted(data, epoch=90, earlier=[{"epoch": 30, "path": "models/early.pt"}])
    assert read_yaml(model / "spec.yaml")["epochs"] == [30, 90]
    noisy, steps = torch.randn(1, 2, 8, 8), torch.tensor([3])
    early, late = (load_model(model, epoch=epoch).predict(noisy, steps) for epoch in (30, None))
    assert not torch.allclose(early, late)


class Gaussian:
    """The best denoiser of normally distributed latents of one deviation; it encodes images as 0.4 times themselves."""

    device = torch.device("cpu")

    def __init__(self, prediction: str, deviation: float = 1.0, useful: bool = True):
        scheduler = DDPMScheduler(num_train_timesteps=1000, **BETAS)
        self.schedule = monai_bundle.denoising.NoiseSchedule(scheduler.alphas_cumprod, prediction)
        self.autoencoder, self.useful, self.variance = self, useful, deviation**2
        self.noisy_and_target, self.noise_of = self.schedule.noisy_and_target, self.schedule.noise_of

    def encode(self, images):
        return 0.4 * images, torch.zeros_like(images)

    def predict(self, noisy, steps):
        if not self.useful:
            return torch.zeros_like(noisy)
        kept = self.schedule.alphas_cumprod[steps].view(-1, 1, 1, 1)
        variance = self.variance * kept + 1 - kept  # of `noisy`
        if self.schedule.prediction == "epsilon":
            return (1 - kept).sqrt() * noisy / variance
        return (kept * (1 - kept)).sqrt() * (1 - self.variance) * noisy / variance


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("deviation", [0.6, 0.9, 1.0, 1.8])
def test_the_scale_that_nobody_wrote_down_is_found(prediction, deviation):
    """Where the denoiser's latents had a deviation near 1, as they usually have, it's 1 / that of these."""
    latents = torch.randn(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    for spread in (1.0, 2.5):
        found = latent_scale.fit_scale(Gaussian(prediction, deviation), spread * latents, 16)
        expected = 1.0 if deviation == 0.9 else deviation
        assert math.isclose(found, 2.5 * expected / spread, rel_tol=0.05)


def test_a_denoiser_that_no_scale_suits_is_refused():
    latents = torch.randn(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"models.scale_factor: can't be found"):
        latent_scale.fit_scale(Gaussian("epsilon", useful=False), latents, 16)


def published(dims: int, levels: list[int], heads: list[int], latents: int, grid: list[int], **more) -> dict:
    """The facts of a configuration in MONAI's model zoo."""
    place = "generative.networks"
    shared = {"spatial_dims": "@spatial_dims", "num_res_blocks": 2}
    ends = {"in_channels": "@latent_channels", "out_channels": "@latent_channels"}
    return {
        "imports": ["$import torch"], "bundle_root": ".", "model_dir": "$@bundle_root + '/models'",
        "spatial_dims": dims, "image_channels": 1, "latent_channels": latents,
        "latent_shape": ["@latent_channels", *grid],
        "autoencoder_def": shared | {
            "_target_": f"{place}.nets.AutoencoderKL",
            "in_channels": "@image_channels", "out_channels": "@image_channels",
            "latent_channels": "@latent_channels", "num_channels": [64, 128, 256], "norm_num_groups": 32,
            "norm_eps": 1e-06, "attention_levels": [False] * 3, **more,
        },
        "network_def": shared | ends | {
            "_target_": f"{place}.nets.DiffusionModelUNet", "num_channels": levels, "num_head_channels": heads,
            "attention_levels": [False, *[True] * (len(levels) - 1)],
        },
        "noise_scheduler": {
            "_target_": f"{place}.schedulers.DDIMScheduler", "_requires_": ["@load_diffusion"],
            "num_train_timesteps": 1000, **BETAS, "clip_sample": False,
        },
        "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=50)",
        "inferer": {"_target_": "scripts.ldm_sampler.LDMSampler", "_requires_": "@set_timesteps"},
    }  # fmt: skip


ATTENTION = {"with_encoder_nonlocal_attn": True, "with_decoder_nonlocal_attn": True}
NO_ATTENTION = {"with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False, "use_checkpointing": True}
ZOO = {
    "brats_mri_generative_diffusion": (
        published(3, [128, 256, 512], [0, 32, 32], 4, [48, 48, 32], **NO_ATTENTION, use_convtranspose=False),
        [192, 192, 128],
    ),
    "brats_mri_axial_slices_generative_diffusion": (
        published(2, [32, 64, 128, 256], [0, 32, 32, 32], 1, [64, 64], **ATTENTION), [256, 256]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_bundles_of_the_model_zoo_are_parsed(name):
    config, grid = ZOO[name]
    described = monai_bundle._described(config, "configs/inference.json", grid)
    assert described["latent_shape"] == [config["latent_channels"], *(size // 4 for size in grid)]
    assert described["schedule"]["timesteps"] == 1000 and described["schedule"]["prediction"] == "epsilon"
    for part in ("autoencoder", "unet"):
        network = monai_bundle._network(described[part], part)
        assert all(tensor.is_meta for tensor in network.state_dict().values())
    with pytest.raises(ValueError, match="and the data set's grid is"):
        monai_bundle._described(config, "configs/inference.json", [size // 2 for size in grid])


def spoil(part: str, **changes):
    """A change of an entry of the configuration."""

    def change(folder: Path) -> None:
        path = folder / "configs" / "inference.json"
        config = json.loads(path.read_text())
        config[part] = config[part] | changes if isinstance(config[part], dict) else changes["value"]
        path.write_text(json.dumps(config))

    return change


def _code(folder: Path) -> None:
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(folder / "run"),)

    torch.save({"model": Code()}, folder / "models" / "model.pt")


def _bomb(folder: Path) -> None:
    inner = {"a": torch.zeros(2**26)}
    torch.save(inner, folder / "models" / "model.pt")


def _link(folder: Path) -> None:
    (folder / "models" / "model.pt").rename(folder.parent / "outside.pt")
    (folder / "models" / "model.pt").symlink_to(folder.parent / "outside.pt")


def _second(folder: Path) -> None:
    path = folder / "configs" / "inference.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"other": config["network_def"]}))


HOSTILE = {
    "code in a value": (spoil("network_def", channels="$__import__('os').mkdir('run')"), "would have to be evaluated"),
    "code behind a reference": (spoil("spatial_dims", value="$import os"), "would have to be evaluated"),
    "a class from elsewhere": (
        spoil("network_def", _target_="evil.DiffusionModelUNet"),
        "only classes of monai.networks",
    ),
    "a function": (spoil("network_def", _target_="os.system"), "no entry whose _target_ is DiffusionModelUNet"),
    "references in a circle": (spoil("network_def", channels="@network_def::channels"), "refers to itself"),
    "no such reference": (spoil("network_def", channels="@nowhere"), "refers to '@nowhere'"),
    "a macro": (spoil("network_def", channels="%/etc/passwd::x"), "would have to be evaluated"),
    "an unknown setting": (spoil("network_def", callback=1), "callback is no setting of MONAI's"),
    "a condition": (spoil("network_def", with_conditioning=True, cross_attention_dim=3), "on a condition"),
    "a class of images": (spoil("network_def", num_class_embeds=4), "on a condition"),
    "colours": (spoil("autoencoder_def", in_channels=3), "grey images have 1 channel"),
    "other axes": (spoil("spatial_dims", value=3), "spatial_dims is 3, and the data set's grid has 2 axes"),
    "another grid": (spoil("latent_shape", value=[2, 16, 16]), "draws images of 32 x 32 pixels"),
    "a huge network": (spoil("network_def", channels=[2**17, 2**17]), "describes a network of"),
    "endless levels": (spoil("network_def", channels=[8] * 1000), "has more than 64 entries"),
    "endless blocks": (spoil("network_def", num_res_blocks=10**9), "num_res_blocks is 1000000000"),
    "endless steps": (spoil("noise_scheduler", num_train_timesteps=10**12), "num_train_timesteps is"),
    "another schedule": (spoil("noise_scheduler", schedule="x"), "the scheduler's schedule is 'x'"),
    "wrong betas": (spoil("noise_scheduler", beta_end=float("nan")), "must lie between 0 and 1"),
    "other weights": (spoil("network_def", channels=[8, 16]), "holds another network than its settings describe"),
    "two networks": (_second, "has several entries whose _target_ is DiffusionModelUNet"),
    "a pickle with code": (_code, "is no checkpoint of tensors alone"),
    "too many numbers": (_bomb, "are the most that it can need"),
    "a link": (_link, "leads out of"),
    "no weights": (lambda folder: (folder / "models" / "model.pt").unlink(), "isn't in the generator's folder"),
    "no JSON": (lambda folder: (folder / "configs" / "inference.json").write_text("[" * 10**5), "is no JSON file"),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_bundle_that_is_wrong_or_hostile_is_refused(data, fault):
    folder = write_bundle(data / "data" / "bundle", config_of())
    change, message = HOSTILE[fault]
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        noted(data)
    assert "\n" not in str(caught.value) and str(data) not in str(caught.value)
    assert not (folder / "run").exists() and not Path("run").exists()
    assert not (data / "model").exists() or not list((data / "model").iterdir())


ZIPS = {
    "out of the zip": ({"../configs/inference.json": b"{}"}, 0, "leads out of it"),
    "from the root": ({"/etc/x": b"{}"}, 0, "leads out of it"),
    "a link": ({"configs/inference.json": b"/etc/passwd"}, stat.S_IFLNK, "holds a link"),
    "much of nothing": ({"b/configs/inference.json": b" " * 2**22}, 0, "are the most that it can need"),
    "nothing": ({"b/readme": b""}, 0, "isn't in the bundle"),
}


@pytest.mark.parametrize("fault", ZIPS)
def test_a_hostile_zip_is_refused(data, fault):
    members, mode, message = ZIPS[fault]
    path = data / "data" / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr, member.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    with pytest.raises(ValueError, match=message):
        noted(data, folder="bundle.zip")
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="neither a folder nor a zip"):
        bundles.Bundle(path)
