"""Costs of the paper-size grids, estimated from counts: jobs, GPU-hours, memory, disk.

    .venv/bin/python benchmarks/estimate_grid.py

Prints the table of docs/scaling.md. Nothing is measured: operations (benchmarks/count_networks.py) become hours by an
assumed share of a GPU's peak.
"""

import re
import subprocess
import sys
import tempfile
from math import prod

import count_networks

from copylens.config import checks, spec, upstream

ROOT = count_networks.ROOT
PEAK, SHARE = 989e12, 0.15  # operations per second in bfloat16 without sparsity (NVIDIA's data sheet of the H100 SXM)


def hours(operations: float) -> float:
    return operations / (PEAK * SHARE) / 3600


def row(path) -> dict:
    config = checks.load_config(path)
    (dataset,), (study,) = config["datasets"], config["studies"]
    grid, split = config["datasets"][dataset]["grid"], config["datasets"][dataset]["split"]
    images = sum(split[role] * (split["scans_per_patient"] or 1) for role in ("train", "calibration", "control"))
    total, memory, disk, counted = 0.0, 0.0, 4 * images * prod(grid), {}
    networks = spec.networks(config, study)
    below_them = {
        (*below, network["seed"])
        for network in networks
        if (below := upstream.autoencoder_of(config, network["model"], network["variant"]))
    }
    trained = {(network["model"], network["variant"], network["seed"]) for network in networks} | below_them
    for model, variant, _ in sorted(trained):
        settings = spec.resolve(config, model, variant)
        if "training" not in settings:
            continue
        if (model, variant) not in counted:
            counted[model, variant] = count_networks.count(config, dataset, model, variant)
        network = counted[model, variant]
        states = 1 + len(settings["training"]["snapshots"])
        total += hours(settings["training"]["steps"] * network["operations"])
        memory = max(memory, 16 * network["parameters"] + 4 * network["activations"])
        disk += 4 * network["parameters"] * states
        if "sampling" in settings:
            n, calls = settings["sampling"]["n_samples"], settings["sampling"].get("steps", 1)
            # Forwards alone: a third of a training step.
            total += hours(states * n * calls * network["operations"] / 3 / network["batch"])
            disk += 4 * states * n * prod(grid)
    return {
        "configuration": path.stem,
        "jobs": jobs(path),
        "trainings": sum("training" in spec.resolve(config, *network[:2]) for network in trained),
        "GPU-hours": round(total),
        "memory, GB": round(memory / 1e9),
        "disk, GB": round(disk / 1e9),
    }


def jobs(path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(path)]
        command += ["--directory", folder, "--dry-run", "--quiet", "rules"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.findall(r"^total +(\d+)", done.stdout + done.stderr, flags=re.MULTILINE)[-1])


if __name__ == "__main__":
    rows = [row(path) for path in sorted((ROOT / "configs").glob("paper_*.yaml"))]
    header = "| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0])
    lines = ["| " + " | ".join(map(str, values.values())) + " |" for values in rows]
    print("\n".join([header, *lines]))
