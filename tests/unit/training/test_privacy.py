"""Differential privacy: what is accounted, what a single patient can do, and that it repeats and resumes."""

import numpy as np
import pytest
import torch
from opacus.accountants import PRVAccountant
from tiny_trainings import break_off, long, tiny_settings, train_into, weights_of

from copylens.config import checks, upstream
from copylens.generation.train import train_model
from copylens.jobs.files import read_yaml
from copylens.jobs.workdir import Unfinished
from copylens.training import privacy
from copylens.training.batches import PatientBatches

SETTINGS = {"epsilon": 8.0, "delta": None, "clip": 0.5}
TRAINING = {"steps": 50, "batch_size": 4}


def test_what_is_spent_is_what_opacus_counts_for_the_same_steps():
    spent = privacy.spent(SETTINGS, TRAINING, 40)
    accountant = PRVAccountant()
    for _ in range(50):
        accountant.step(noise_multiplier=spent["noise_multiplier"], sample_rate=0.1)
    assert spent["epsilon"] == pytest.approx(accountant.get_epsilon(delta=0.1 / 40), rel=1e-6)
    assert 7.5 < spent["epsilon"] <= 8.05 and spent["delta"] == 0.1 / 40


def test_patients_are_taken_independently_and_one_image_of_each():
    patients = np.repeat(range(30), 3)
    batches = PatientBatches(patients, 6, 500, 1000, seed=0)
    taken = [*batches]
    batches.set_epoch(1)
    taken += [*batches]
    sizes = [len(batch) for batch in taken]
    assert len(taken) == 1000 and all(len(set(patients[batch])) == len(batch) for batch in taken)
    assert np.mean(sizes) == pytest.approx(6, abs=0.3) and np.var(sizes) == pytest.approx(30 * 0.2 * 0.8, rel=0.2)
    rows = np.bincount(np.concatenate(taken).astype(int), minlength=90)
    assert rows.min() > 0.5 * rows.mean()


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.GroupNorm(2, 4), torch.nn.SiLU(), torch.nn.Conv2d(4, 1, 3)
        )

    def forward(self, images):
        return self.layers(images)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_no_patient_moves_the_gradient_by_more_than_the_clipping_norm(scale):
    """Whatever else is in the batch, and however large the patient's own loss."""
    network, images = Small(), torch.randn(5, 1, 8, 8)
    images[0] *= scale
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    optimizer = privacy.private(network, optimizer, SETTINGS, TRAINING, 40)
    sums = []
    for batch in (images, images[1:]):
        optimizer.zero_grad()
        network(batch).square().flatten(1).mean(1).mean().backward()
        optimizer.clip_and_accumulate()
        sums.append(torch.cat([each.summed_grad.flatten() for each in network.parameters()]).clone())
        for each in network.parameters():
            each.summed_grad = each.grad_sample = None
    moved = float((sums[0] - sums[1]).norm())
    assert moved <= SETTINGS["clip"] * 1.001
    assert moved > 0


def test_a_layer_with_statistics_of_a_batch_is_refused():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match="privacy: the layer 1 uses statistics of a batch"):
        privacy.private(network, torch.optim.SGD(network.parameters()), SETTINGS, TRAINING, 40)


@pytest.mark.parametrize("epsilon", [1e-4, 1e6])
def test_an_epsilon_that_the_steps_cant_spend_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"privacy.epsilon: .* change it, training.steps or training.batch_size"):
        privacy.noise_multiplier(SETTINGS | {"epsilon": epsilon}, TRAINING, 40)


@pytest.fixture
def private(tiny, data):
    """Settings of a private training, and files of images, an autoencoder, and a network to start from."""
    train_into(long(tiny["models"]["autoencoder"], 6), data, data / "below", None)
    settings = long(tiny_settings(tiny, "models", "latent_diffusion"), 8)
    train_into(settings, data, data / "start", data / "below")
    settings |= {"pretrained": {"dataset": "other", "model": "ldm", "variant": "base"}, "privacy": SETTINGS}
    files = {"images": data / "images.npy", "splits": data / "splits.tsv"}
    return settings, files | {"autoencoder": data / "below", "pretrained": data / "start"}


def trained(settings: dict, files: dict, folder):
    train_model(settings, 0, files, folder, Unfinished(folder.with_name(f"work_{folder.name}")))
    return read_yaml(folder / "spec.yaml")


def test_a_private_training_says_what_it_spent_and_resumes_to_the_same_bits(private, data, monkeypatch):
    settings, files = private
    found = trained(settings, files, data / "straight")
    assert found["epsilon"] == pytest.approx(8, abs=0.1) and found["delta"] == pytest.approx(0.1 / 16)
    break_off(monkeypatch, lambda: trained(settings, files, data / "broken"))
    trained(settings, files, data / "broken")
    assert weights_of(data / "straight") == weights_of(data / "broken") != weights_of(data / "start")


def test_a_step_that_takes_nobody_moves_the_network_by_noise_alone(private, data):
    settings, files = private
    settings = settings | {"training": settings["training"] | {"batch_size": 1, "steps": 8, "snapshots": []}}
    patients = np.arange(16)
    assert not all([*PatientBatches(patients, 1, 8, 8, seed=0)])  # some batch is empty
    assert trained(settings, files, data / "few")["epsilon"] == pytest.approx(8, abs=0.1)
    assert weights_of(data / "few") != weights_of(data / "start")


def test_a_training_starts_from_the_other_network_and_keeps_its_scale(private, data):
    settings, files = private
    settings = settings | {"privacy": None}
    still = settings | {"training": settings["training"] | {"learning_rate": 1e-12, "steps": 4}}
    assert "epsilon" not in trained(still, files, data / "still")
    from safetensors.torch import load_file

    start, end = (load_file(data / name / "weights.safetensors") for name in ("start", "still"))
    for name, tensor in start.items():
        torch.testing.assert_close(end[name], tensor, atol=1e-6, rtol=1e-5)


def with_start(tiny: dict) -> dict:
    """The model ldm, in the study `tiny` by itself, which starts from the same model on other images."""
    tiny["studies"] = {"tiny": tiny["studies"]["tiny"] | {"variants": ["base"], "more_variants": {}}}
    ldm = tiny["models"]["ldm"]
    ldm["prediction"] = "v_prediction"
    tiny["models"]["start"] = {**ldm}
    tiny["datasets"]["other"] = tiny["datasets"]["chest"] | {"n_patients": 61}
    ldm["pretrained"] = {"dataset": "other", "model": "start"}
    return ldm


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrained": None}, r"models.ldm.pretrained: name a network of other images"),
        ({"training": {"stop": {}}}, r"models.ldm.training.stop: looks at the patients' losses"),
        ({"training": {"compile": True}}, r"models.ldm.training.compile: must be false"),
        ({"training": {"precision": "auto"}}, r"models.ldm.training.precision: must be 32-true"),
        (
            {"pretrained": {"dataset": "nowhere", "model": "start"}},
            r"ldm.pretrained.dataset: no entry 'nowhere'",
        ),
        ({"sampling": {"n_samples": 8, "reject": {}}}, r"models.ldm.sampling.reject: looks at the patients"),
        ({"sampling": {"n_samples": 8, "guidance": {"scale": 1.0}}}, r"models.ldm.sampling.guidance: looks at"),
        ({"pretrained": {"dataset": "other", "model": "again"}}, r"models.ldm.pretrained: starts from another network"),
        ({"prediction": "epsilon"}, r"models.ldm.prediction: is epsilon; .*pretrained was trained with v_prediction"),
    ],
)
def test_what_rules_privacy_out_is_named(tiny, changes, message):
    ldm = with_start(tiny)
    ldm["privacy"] = {"epsilon": 8.0}
    ldm["training"]["precision"] = "32-true"
    tiny["models"]["again"] = tiny["models"]["start"] | {"pretrained": {"dataset": "knee", "model": "start"}}
    checks.check(tiny)
    tiny["models"]["ldm"] = ldm | changes | {"training": ldm["training"] | changes.get("training", {})}
    with pytest.raises(ValueError, match=message):
        checks.check(tiny)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"pretrained.dataset: is the data set that it is trained on"),
        ({"grid": [8, 8]}, r"datasets.other.grid: must be that of datasets.chest"),
        ({"split": None}, r"datasets.other.split: .*needs it"),
    ],
)
def test_a_start_on_images_that_dont_fit_is_refused(tiny, changes, message):
    with_start(tiny)
    tiny["studies"]["tiny"]["datasets"] = ["chest"]
    tiny["audits"] = {}
    tiny["datasets"]["other"] = tiny["datasets"]["chest"] | {"n_patients": 61} | changes
    tiny["models"]["ldm"]["pretrained"]["dataset"] = "other" if changes else "chest"
    with pytest.raises(ValueError, match=message):
        checks.check(tiny)


def test_the_autoencoder_is_the_one_of_the_other_data_set(tiny):
    with_start(tiny)
    config = checks.check(tiny)
    assert upstream.autoencoder_dataset(config, "knee", "ldm", "base") == "other"
    assert upstream.autoencoder_dataset(config, "knee", "start", "base") == "knee"


def test_the_same_patients_under_another_name_are_no_other_images(tiny):
    ldm = with_start(tiny)
    ldm |= {"privacy": {"epsilon": 8.0}, "training": ldm["training"] | {"precision": "32-true"}}
    tiny["studies"]["tiny"]["datasets"] = ["chest"]
    tiny["audits"] = {}
    checks.check(tiny)
    tiny["datasets"]["other"] = tiny["datasets"]["chest"]
    with pytest.raises(ValueError, match=r"pretrained.dataset: has the same source as datasets.chest"):
        checks.check(tiny)


def test_a_private_network_that_only_an_audit_names_is_checked_too(tiny):
    tiny["audits"]["release"]["synthetic"] = {"model": "ldm", "variant": "private"}
    tiny["variants"]["private"] = {"privacy": {"epsilon": 8.0}, "training": {"precision": "32-true"}}
    with pytest.raises(ValueError, match=r"models.ldm with variants.private.pretrained: name a network of other"):
        checks.check(tiny)
