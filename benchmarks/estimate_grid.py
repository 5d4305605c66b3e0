"""What the paper-size grids cost, estimated from counts: jobs, GPU-hours, memory, disk.

    .venv/bin/python benchmarks/estimate_grid.py > docs/scaling.md

Nothing is measured: operations (benchmarks/count_networks.py) become hours by an assumed share of a GPU's peak.
"""

import re
import subprocess
import sys
import tempfile
from math import prod

import count_networks
import pandas as pd

from copylens.config import checks, spec

ROOT = count_networks.ROOT
PEAK, SHARE = 989e12, 0.15  # operations per second in bfloat16 without sparsity (NVIDIA's data sheet of the H100 SXM)
TEXT = """# What a training grid costs

Estimates for `configs/paper_*.yaml`, written by `benchmarks/estimate_grid.py`; nothing here was measured on a GPU.
Hours are the operations of each training and sampling (`docs/paper_sizes.md` has a step's) at {share:.0%} of an H100's
{peak:.0f} TFLOP/s in bfloat16. That share is an assumption; hours are inversely proportional to it. Detectors,
comparisons, figures, and the encoder's work where images are augmented are not in the hours. Memory is 16 bytes a
parameter (weights, gradients, two moments) and four a value of the activations. Jobs are those of a dry run.

{table}

*Memory* is the largest network's. *Disk* is what results/ holds: images, samples of every kept state, weights and
snapshots; `work/` needs twice a network's weights and moments more while it trains.

## Ten and a hundred times that size

- **Planning** reads the Snakefile once and builds every job in memory: {plan}.
  Each cluster job reads it again ({start} s, without torch). Give each study a configuration of its own before that
  becomes long.
- **The queue**: `jobs` and `resources: gpu` in `profiles/slurm/config.yaml` cap what is submitted; the controller is
  asked for all jobs at once, every 10 to 180 s. Jobs of seconds (comparisons, figures) cost more queue than work.
- **Disk**: samples of every snapshot grow first. Fewer snapshots, or fewer samples, are one line of the configuration
  and don't train again.
- **Memory**: images and samples are memory-mapped; a training holds its data set (or its latents) in memory. Nearest
  neighbours of embeddings are searched block by block (`benchmarks/search_at_scale.tsv`), so their number is bound by
  time; the detector `copylens` compares images, linearly in both sets, and is the first to become slow.
- **One network on several GPUs**: `--set-resources train_model:gpu=4` shares each batch (DDP). A grid of many networks
  uses GPUs better with one each.
"""


def hours(operations: float) -> float:
    return operations / (PEAK * SHARE) / 3600


def row(path) -> dict:
    config = checks.load_config(path)
    (dataset,), (study,) = config["datasets"], config["studies"]
    grid, split = config["datasets"][dataset]["grid"], config["datasets"][dataset]["split"]
    images = sum(split[role] * (split["scans_per_patient"] or 1) for role in ("train", "calibration", "control"))
    total, memory, disk, counted = 0.0, 0.0, 4 * images * prod(grid), {}
    networks = spec.networks(config, study)
    upstream = {
        (*below, network["seed"])
        for network in networks
        if (below := spec.autoencoder_of(config, network["model"], network["variant"]))
    }
    trained = {(network["model"], network["variant"], network["seed"]) for network in networks} | upstream
    for model, variant, _ in sorted(trained):
        settings = spec.resolve(config, model, variant)
        if "training" not in settings:
            continue
        if (model, variant) not in counted:
            counted[model, variant] = count_networks.count(config, dataset, model, variant)
        each = counted[model, variant]
        states = 1 + len(settings["training"]["snapshots"])
        total += hours(settings["training"]["steps"] * each["operations"])
        memory = max(memory, 16 * each["parameters"] + 4 * each["activations"])
        disk += 4 * each["parameters"] * states
        if "sampling" in settings:
            n, calls = settings["sampling"]["n_samples"], settings["sampling"].get("steps", 1)
            # Forwards alone: a third of a training step.
            total += hours(states * n * calls * each["operations"] / 3 / each["batch"])
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
    lines = ["| " + " | ".join(map(str, each.values())) + " |" for each in rows]
    planned = pd.read_csv(ROOT / "benchmarks" / "plan_grid.tsv", sep="\t").iloc[0]
    plan = f"{planned.jobs:.0f} jobs take {planned.plan_s:.0f} s and {planned.plan_mib:.0f} MiB on two cores"
    sys.stdout.write(
        TEXT.format(
            share=SHARE, peak=PEAK / 1e12, table="\n".join([header, *lines]), plan=plan, start=planned.job_start_s
        )
    )
