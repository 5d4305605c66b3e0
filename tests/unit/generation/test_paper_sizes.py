"""The paper-size configurations: shapes and memory counted without allocating; two steps of each at a small grid."""

import sys
from importlib import import_module

import pytest
import torch
from conftest import ROOT

from copylens.config import spec

sys.path.insert(0, str(ROOT / "benchmarks"))
import count_networks

GPU = 80e9  # bytes
NETWORKS = list(count_networks.paper_networks())


def test_the_documentations_table_is_what_is_counted_and_every_network_fits_one_gpu():
    # Which trainings in the same process have switched on, and shapes alone can't have.
    torch.use_deterministic_algorithms(False)
    counts = [count_networks.count(*network) for _, *network in NETWORKS]
    assert (ROOT / "docs" / "paper_sizes.md").read_text() == count_networks.table(NETWORKS, counts)
    # Weights, gradients and the optimizer's two moments at 4 bytes; activations at 2, and as much for their gradients.
    assert all(16 * each["parameters"] + 4 * each["activations"] < GPU for each in counts)
    parameters = {
        (name, model, variant): each["parameters"]
        for (name, _, _, model, variant), each in zip(NETWORKS, counts, strict=True)
    }
    for name, _, _, model, variant in NETWORKS:
        if variant == "small":
            assert 0.2 < parameters[name, model, "small"] / parameters[name, model, "base"] < 0.3


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join([network[0], *network[3:]]))
def test_two_steps_at_a_small_grid(network):
    _, config, dataset, model, variant = network
    settings = spec.resolve(config, model, variant) | {"perceptual_weight": 0.0, "adversarial_start": 0}
    below = settings.get("autoencoder")
    below = below and spec.resolve(config, below["model"], below["variant"]) | {"perceptual_weight": 0.0}
    halvings = sum(len(each["channels"]) - 1 for each in (settings, below) if each)
    # The patch discriminator needs 16 pixels.
    grid = [min(size, max(16, 2**halvings)) for size in config["datasets"][dataset]["grid"]]
    torch.manual_seed(0)
    upstream = below and import_module(f"copylens.generation.models.{below['kind']}").build(below, grid)
    module = import_module(f"copylens.generation.models.{settings['kind']}").build(settings, grid, upstream)
    (*optimizers,), _ = module.configure_optimizers()
    before = {key: value.clone() for key, value in module.named_parameters() if not key.startswith("average.")}

    def descend(loss, which=0):
        optimizers[which].zero_grad()
        loss.backward()
        optimizers[which].step()

    tensors = module.prepare(torch.rand(2, 1, *grid))
    for step in range(2):
        losses = module.training_step(tensors, step, descend)
        assert all(torch.isfinite(loss) for loss in losses.values())
    assert any(not torch.equal(value, before[key]) for key, value in module.named_parameters() if key in before)
