"""Parameters, activations and operations of the paper-size configurations' networks, counted without allocating any.

    .venv/bin/python benchmarks/count_networks.py > docs/paper_sizes.md

Networks are built on torch's meta device and take one training step there, so that shapes are checked as well.
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from copylens.config import checks, spec

ROOT = Path(__file__).parents[1]
HEADER = """# The networks of the paper-size configurations

Counted by `benchmarks/count_networks.py` on shapes alone; nothing here was trained. Activations are the outputs of all
layers in one training step, at 2 bytes each (bfloat16), for the batch that the configuration asks for; an autoencoder's
are those before its discriminator and perceptual network join in. Operations are the multiplications and additions of
one step's matrix products and convolutions, forwards and backwards.

| configuration | network | parameters | batch | activations | operations per step |
|---|---|---|---|---|---|
"""


class Operations(TorchDispatchMode):
    """Counts multiplications and additions by torch's own formulas. Its FlopCounterMode fails on gradient penalties."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        self.total += formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        return out


def count(config: dict, dataset: str, model: str, variant: str = "base") -> dict[str, int]:
    """Parameters, batch size, the number of values that one training step's layers give out, and its operations.

    Raises whatever building the network or the step raises.
    """
    settings = spec.resolve(config, model, variant)
    # The perceptual network would be downloaded; a cosine schedule and augmentation read values. No shape changes.
    neutral = {"perceptual_weight": 0.0, "schedule": "linear_beta", "augment": None}
    settings = {**settings, **{key: value for key, value in neutral.items() if key in settings}}
    grid = config["datasets"][dataset]["grid"]
    batch = settings["training"]["batch_size"]
    with torch.device("meta"):
        below = None
        if settings.get("autoencoder"):
            named = spec.resolve(config, settings["autoencoder"]["model"], settings["autoencoder"]["variant"])
            below = _family(named).build({**named, **neutral}, grid)
        module = _family(settings).build(settings, grid, below)
        if hasattr(module, "average"):
            module.average.update_parameters = lambda network: None  # it reads a counter, and there are no values
        sizes = []
        for layer in module.modules():
            if not list(layer.children()):
                layer.register_forward_hook(lambda layer, inputs, output: sizes.append(output))
        shapes = [below.latent_shape] * 2 if below else [[1, *grid]]
        batch_of = tuple(torch.empty(batch, *shape) for shape in shapes)
        with Operations() as counter:
            module.training_step(batch_of, 0, lambda loss, which=0: loss.backward())
    values = sum(output.numel() for output in sizes if isinstance(output, torch.Tensor))
    trained = [tensor for name, tensor in module.named_parameters() if not name.startswith("average.")]
    parameters = sum(tensor.numel() for tensor in trained)
    return {"parameters": parameters, "batch": batch, "activations": values, "operations": counter.total}


def paper_networks() -> Iterator[tuple[str, dict, str, str, str]]:
    """(name, configuration, data set, model, variant) of every network that a paper-size study trains."""
    for path in sorted((ROOT / "configs").glob("paper_*.yaml")):
        config = checks.load_config(path)
        (dataset,) = config["datasets"]
        for model, settings in config["models"].items():
            if "training" in settings:
                yield path.stem, config, dataset, model, "base"
        yield path.stem, config, dataset, "ldm", "small"


def table(networks: list[tuple], counts: list[dict[str, int]]) -> str:
    """docs/paper_sizes.md."""
    lines = []
    for (name, _, _, model, variant), of_network in zip(networks, counts, strict=True):
        network = model if variant == "base" else f"{model} {variant}"
        lines.append(
            f"| {name} | {network} | {of_network['parameters'] / 1e6:.1f} M | {of_network['batch']} "
            f"| {2 * of_network['activations'] / 1e9:.1f} GB | {of_network['operations'] / 1e12:.1f} T |"
        )
    return HEADER + "\n".join(lines) + "\n"


def _family(settings: dict):
    return import_module(f"copylens.generation.models.{settings['kind']}")


if __name__ == "__main__":
    NETWORKS = list(paper_networks())
    sys.stdout.write(table(NETWORKS, [count(*network) for _, *network in NETWORKS]))
