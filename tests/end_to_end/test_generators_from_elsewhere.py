"""Generators that others trained, on real chest X-rays: an audit sees what they learnt by heart, and what they didn't.

A denoiser trained by diffusers' own loop is a pipeline and a program's weights; MONAI's own classes write a bundle.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import diffusers
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT
from diffusers.optimization import get_cosine_schedule_with_warmup
from monai.inferers import LatentDiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional

from copylens.auditing.membership import measure_errors, membership
from copylens.config import checks, spec
from copylens.generation.train import train_model
from copylens.jobs.files import read_arrays
from copylens.jobs.workdir import Unfinished

SIZE, N_TRAINED, N_HELD_OUT = 32, 32, 100
N_SAMPLES = 64
LATENT = 4, SIZE // 4, SIZE // 4
WIDTHS, UNET_WIDTHS = [8, 16, 16], [32, 64]
BETAS = {"beta_start": 0.0015, "beta_end": 0.0195}
PACKAGES = str(Path(np.__file__).parents[1])
# A program of the user's, which knows nothing of this library.
DRAW = f"""
import sys
sys.path.append({PACKAGES!r})
import diffusers, numpy, torch
from PIL import Image
folder, n, seed, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
pipeline = diffusers.LDMPipeline.from_pretrained(folder)
pipeline.set_progress_bar_config(disable=True)
generator = torch.Generator().manual_seed(seed)
drawn = pipeline(batch_size=n, generator=generator, num_inference_steps=30, output_type="np").images[..., 0]
for number, image in enumerate(drawn):
    Image.fromarray((255 * image).round().astype("uint8")).save(f"{{out}}/{{number:04d}}.png")
"""
LOSSES = f"""
import sys
sys.path.append({PACKAGES!r})
import diffusers, numpy, torch
folder, images, timesteps, seed, out = sys.argv[1:]
pipeline = diffusers.LDMPipeline.from_pretrained(folder)
images = torch.from_numpy(2 * numpy.load(images) - 1)[:, None]
columns = []
with torch.no_grad():
    latents = pipeline.vqvae.encode(images).latent_dist.mean * pipeline.vqvae.config.scaling_factor
    noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(int(seed))).expand_as(latents)
    for timestep in map(int, timesteps.split(",")):
        steps = torch.full((len(images),), timestep)
        predicted = pipeline.unet(pipeline.scheduler.add_noise(latents, noise, steps), steps).sample
        columns.append((predicted - noise).square().mean((1, 2, 3)))
numpy.save(out, torch.stack(columns, 1).numpy())
"""


def write_xrays(folder: Path, real_images: Path) -> torch.Tensor:
    """Writes one small X-ray of each patient and the table of who was trained on; the latter's images, in [0, 1]."""
    folder.mkdir(parents=True)
    first = {path.name.split("_")[0]: path for path in sorted((real_images / "nih_chestxray").rglob("*.png"))[::-1]}
    names = np.random.default_rng(5).permutation(sorted(first))[: N_TRAINED + 2 * N_HELD_OUT]
    for name in names:
        Image.open(first[name]).convert("L").resize((SIZE, SIZE), Image.Resampling.BOX).save(folder / f"{name}.png")
    split = ["train"] * N_TRAINED + ["calibration"] * N_HELD_OUT + ["control"] * N_HELD_OUT
    table = pd.DataFrame({"path": [f"{name}.png" for name in names], "patient": names, "split": split})
    table.to_csv(folder / "split.csv", index=False)
    images = np.stack([np.asarray(Image.open(folder / path), np.float32) for path in table["path"][:N_TRAINED]])
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    return torch.from_numpy((images - low) / (high - low))[:, None]


def train(parameters: list, data: torch.Tensor, loss_of, steps: int, batch: int) -> None:
    """The usual loop: AdamW, a warm-up and a cosine."""
    optimizer, generator = torch.optim.AdamW(parameters, lr=2e-3), torch.Generator().manual_seed(0)
    rates = get_cosine_schedule_with_warmup(optimizer, 50, steps)
    for _ in range(steps):
        loss = loss_of(data[torch.randint(len(data), (batch,), generator=generator)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()


def write_pipelines(folder: Path, images: torch.Tensor) -> None:
    """A pipeline in `folder`/untrained, its U-Net as it was made, and the same one in `folder`/long."""
    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderKL(
        latent_channels=LATENT[0], block_out_channels=WIDTHS, layers_per_block=1, norm_num_groups=8,
        in_channels=1, out_channels=1, sample_size=SIZE,
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
    )  # fmt: skip

    def unlike(batch):
        posterior = autoencoder.encode(2 * batch - 1).latent_dist
        decoded = autoencoder.decode(posterior.sample()).sample
        return functional.l1_loss(decoded, 2 * batch - 1) + 1e-6 * posterior.kl().mean()

    train(list(autoencoder.parameters()), images, unlike, 200, 16)
    with torch.no_grad():
        latents = autoencoder.encode(2 * images - 1).latent_dist.mean
    autoencoder.register_to_config(scaling_factor=1 / float(latents.std()))
    unet = diffusers.UNet2DModel(
        sample_size=LATENT[1], in_channels=LATENT[0], out_channels=LATENT[0], block_out_channels=UNET_WIDTHS,
        layers_per_block=1, norm_num_groups=8, add_attention=False,
        down_block_types=["DownBlock2D"] * 2, up_block_types=["UpBlock2D"] * 2,
    )  # fmt: skip
    scheduler = diffusers.DDPMScheduler(beta_schedule="scaled_linear", **BETAS, clip_sample=False)
    sampler = diffusers.DDIMScheduler.from_config(scheduler.config)

    def noise_left(clean):
        noise, steps = torch.randn_like(clean), torch.randint(1000, (len(clean),))
        return functional.mse_loss(unet(scheduler.add_noise(clean, noise, steps), steps).sample, noise)

    diffusers.LDMPipeline(autoencoder, unet, sampler).save_pretrained(folder / "untrained")
    train(list(unet.parameters()), latents / latents.std(), noise_left, 800, 32)
    diffusers.LDMPipeline(autoencoder, unet, sampler).save_pretrained(folder / "long")


def write_bundle(folder: Path, images: torch.Tensor) -> float:
    """A bundle whose models/untrained.pt and models/model.pt are its U-Net before and after; its latents' scale."""
    torch.manual_seed(0)
    shared = {"spatial_dims": 2, "num_res_blocks": 1, "norm_num_groups": 8}
    described = {
        "autoencoder_def": shared | {
            "in_channels": 1, "out_channels": 1, "latent_channels": LATENT[0], "channels": WIDTHS,
            "attention_levels": [False] * 3, "with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False,
        },
        "network_def": shared | {
            "in_channels": LATENT[0], "out_channels": LATENT[0], "channels": UNET_WIDTHS,
            "attention_levels": [False, True], "num_head_channels": 16,
        },
    }  # fmt: skip
    autoencoder = AutoencoderKL(**described["autoencoder_def"])
    unet = DiffusionModelUNet(**described["network_def"])

    def unlike(batch):
        decoded, mean, deviation = autoencoder(batch)
        variance = deviation**2
        return functional.l1_loss(decoded, batch) + 1e-6 * (mean**2 + variance - variance.log() - 1).sum() / len(batch)

    train(list(autoencoder.parameters()), images, unlike, 200, 16)
    with torch.no_grad():
        scale = 1 / float(autoencoder.encode_stage_2_inputs(images).std())
    inferer = LatentDiffusionInferer(DDPMScheduler(schedule="scaled_linear_beta", **BETAS), scale_factor=scale)

    def noise_left(batch):
        noise, steps = torch.randn(len(batch), *LATENT), torch.randint(1000, (len(batch),))
        return functional.mse_loss(inferer(batch, autoencoder, unet, noise=noise, timesteps=steps), noise)

    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    for name in described:
        network = {"autoencoder_def": "AutoencoderKL", "network_def": "DiffusionModelUNet"}[name]
        described[name]["_target_"] = f"monai.networks.nets.{network}"
    target = "monai.networks.schedulers.DDIMScheduler"
    described["noise_scheduler"] = {"_target_": target, "schedule": "scaled_linear_beta", **BETAS}
    (folder / "configs" / "inference.json").write_text(json.dumps(described | {"latent_shape": LATENT}))
    torch.save(autoencoder.state_dict(), folder / "models" / "model_autoencoder.pt")
    torch.save(unet.state_dict(), folder / "models" / "untrained.pt")
    autoencoder.requires_grad_(False)
    train(list(unet.parameters()), images, noise_left, 300, 32)
    torch.save(unet.state_dict(), folder / "models" / "model.pt")
    return scale


def write_programs(folder: Path) -> None:
    """Two programs, and an environment of their own."""
    venv.create(folder / "environment", with_pip=False)
    for name, text in (("draw.py", DRAW), ("losses.py", LOSSES)):
        (folder / name).write_text(text)


def program(pipeline: str) -> dict:
    """The settings of a model whose programs use a pipeline's weights."""
    python, sampling = "generator/environment/bin/python", {"n_samples": 100, "batch_size": 50}
    return {
        "kind": "command",
        "command": [python, "generator/draw.py", f"pipelines/{pipeline}", "{n}", "{seed}", "{out}"],
        "losses": [
            python,
            "generator/losses.py",
            f"pipelines/{pipeline}",
            "{images}",
            "{timesteps}",
            "{seed}",
            "{out}",
        ],
        "files": [f"pipelines/{pipeline}/unet/diffusion_pytorch_model.safetensors"],
        "scaling": {"kind": "window", "low": 0, "high": 255},
        "sampling": sampling,
    }


SAMPLING = {"n_samples": 100, "batch_size": 50, "steps": 30}
MODELS = {
    "pipeline": {"kind": "diffusers_pipeline", "folder": "pipelines/long", "sampling": SAMPLING},
    "pipeline_untrained": {"kind": "diffusers_pipeline", "folder": "pipelines/untrained", "sampling": SAMPLING},
    "bundle": {"kind": "monai_bundle", "folder": "bundle", "sampling": SAMPLING},
    "bundle_untrained": {"kind": "monai_bundle", "folder": "bundle", "weights": "models/untrained.pt",
                         "scale_factor": 1.0, "sampling": SAMPLING},
    "program": program("long"),
    "program_untrained": program("untrained"),
}  # fmt: skip
REAL_FILES = {"images": "npy", "splits": "tsv"}
KINDS = ["pipeline", "bundle", "program"]
DETECTORS = ["copylens", "aligned_correlation", "pixel_l2_ratio"]
CONFIG = {
    "datasets": {"chests": {"reader": "image_folder", "root": "chests", "grid": [SIZE, SIZE], "table": "split.csv"}},
    "models": MODELS,
    "detectors": {name: {"kind": name} for name in DETECTORS},
    "studies": {},
    "audits": {
        "pipeline": {
            "training": "chests", "synthetic": {"model": "pipeline"}, "weights": True, "detectors": DETECTORS,
            "planted": {"copies": 12}, "policy": {"transforms": ["identity", "noise"]},
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def data(real_images, tmp_path_factory) -> Path:
    """$COPYLENS_DATA: small X-rays, and generators that were trained on 32 patients, or not at all."""
    folder = tmp_path_factory.mktemp("elsewhere")
    images = write_xrays(folder / "chests", real_images)
    write_pipelines(folder / "pipelines", images)
    scale = write_bundle(folder / "bundle", images)
    (folder / "scale.json").write_text(json.dumps(scale))
    write_programs(folder / "generator")
    return folder


@pytest.fixture(scope="module")
def results(data, tmp_path_factory) -> Path:
    """results/ of the pipeline's audit."""
    folder = tmp_path_factory.mktemp("audits")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "snakemake", "audits", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml"), "--cores", "2"]
    command += ["--set-threads", *[f"{rule}=1" for rule in ("train_model", "draw_samples", "compare_audit")]]
    environment = os.environ | {"COPYLENS_DATA": str(data)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


def test_a_pipeline_trained_for_long_fails_by_its_samples_and_by_its_weights(results):
    verdict = json.loads((results / "audits" / "pipeline" / "public" / "verdict.json").read_text())
    outcome = {line["name"]: line["outcome"] for line in verdict["lines"]}
    assert (verdict["verdict"], outcome["copies"], outcome["membership"]) == ("FAIL", "fail", "fail")


def attacked(name: str, results: Path, folder: Path) -> dict:
    """What audits ask of weights that are to be published, by the same functions."""
    real = {part: results / "data" / "chests" / f"{part}.{suffix}" for part, suffix in REAL_FILES.items()}
    settings = spec.training_settings(checks.check(CONFIG), name, "base")
    train_model(settings, 0, real, folder / "model", Unfinished(folder / "work"))
    measure_errors(*real.values(), folder / "model", None, 0, folder / "membership.npz")
    return membership(read_arrays(folder / "membership.npz"), 0.95, 0)


@pytest.mark.parametrize("name", KINDS)
def test_weights_tell_who_was_trained_on_for_long_and_of_nobody_before(results, data, name, monkeypatch, tmp_path):
    monkeypatch.setenv("COPYLENS_DATA", str(data))
    row = attacked(name, results, tmp_path / "long")
    assert row["auc_low"] > 0.9, row
    row = attacked(f"{name}_untrained", results, tmp_path / "untrained")
    assert row["auc_low"] <= 0.5 <= row["auc_high"], row
    if name == "bundle":  # its scale wasn't saved
        found = float(load_file(tmp_path / "long" / "model" / "weights.safetensors")["scale_factor"])
        assert found == pytest.approx(json.loads((data / "scale.json").read_text()), rel=0.05)
