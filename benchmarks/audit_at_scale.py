"""A large audit as a user runs it: `snakemake audits` on folders of PNG files, drawn chest X-rays, 64 x 64.

    python benchmarks/audit_at_scale.py 10000 10000 2

Arguments: numbers of training images, of synthetic images and of cores. A tenth of the synthetic images are training
images, turned, shifted and shaded; the others show patients who weren't trained on, as the held-out ones do. Writes
benchmarks/audit_at_scale.tsv: minutes from the command to the reports, the peak of the memory of all processes together
(each page counted once), the verdict with its interval of copies, and the shares of the copies and of the others that
were withheld. benchmarks/audit_at_scale_jobs.tsv: seconds of each rule. Drawing the images isn't counted. Needs idle
cores.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import psutil
import torch
import yaml

from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.evaluation import transforms
from copylens.jobs.files import read_table

ROOT = Path(__file__).parents[1]
XRAYS = {"anatomy": "xray", "size": 64, "noise": 0.02, "seed": 0, "repeat_share": 0.0}
HELD_OUT, COPIED = 400, 0.1
COPIES = ("flip", "rotation_05", "shift", "contrast_15", "noise")
FOLDER = {"reader": "image_folder", "patient": "(.+)", "grid": [64, 64]}
NAME = "large"


def draw(n: int) -> np.ndarray:
    """Images [n, 64, 64] in [0, 1] of as many patients."""
    settings = XRAYS | {"n_patients": n}
    scans = phantom.list_scans(ROOT, settings)
    return np.stack([scale(phantom.load(ROOT, scan, settings).pixels, {"kind": "minmax"}) for scan in scans])


def copies(images: np.ndarray) -> np.ndarray:
    """Images [n, 64, 64] under one transform after the other."""
    images_BC = torch.from_numpy(images.astype(np.float32))[:, None]
    generator = torch.Generator().manual_seed(0)
    parts = zip(COPIES, images_BC.tensor_split(len(COPIES)), strict=True)
    return np.concatenate([transforms.apply(name, part, part.flip(0), generator)[:, 0].numpy() for name, part in parts])


def write_folder(images: np.ndarray, folder: Path) -> None:
    folder.mkdir()
    for number, image in enumerate(np.round(255 * images.clip(0, 1)).astype(np.uint8)):
        PIL.Image.fromarray(image).save(folder / f"{folder.name}_{number:05}.png")


def write_images(n_training: int, n_synthetic: int, folder: Path) -> None:
    """The folders training, held_out and synthetic, whose first tenth are copies."""
    n_copied = round(COPIED * n_synthetic)
    images = draw(n_training + HELD_OUT + n_synthetic - n_copied)
    training, held_out, others = np.split(images, [n_training, n_training + HELD_OUT])
    rows = np.random.default_rng(0).permutation(n_training)[:n_copied]
    synthetic = np.concatenate([copies(training[rows]), others])
    for name, some in (("training", training), ("held_out", held_out), ("synthetic", synthetic)):
        write_folder(some, folder / name)


def configuration() -> dict:
    detectors = yaml.safe_load((ROOT / "config.yaml").read_text())["audits"]["chest_release"]["detectors"]
    audit = {"training": "training", "held_out": "held_out", "synthetic": {"dataset": "synthetic"}}
    return {
        "datasets": {name: {**FOLDER, "root": name} for name in ("training", "held_out", "synthetic")},
        "models": {},
        "detectors": {name: {"kind": name} for name in detectors},
        "studies": {},
        "audits": {NAME: {**audit, "detectors": detectors}},
    }


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process and those that it started."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total


def run(folder: Path, n_cores: int) -> tuple[float, float, str]:
    """Seconds, peak MiB and output of the audit in `folder`."""
    command = [sys.executable, "-m", "snakemake", "audits", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml"), "--cores", str(n_cores)]
    start, peak = time.perf_counter(), 0
    environment = os.environ | {"COPYLENS_DATA": str(folder)}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    done = threading.Event()
    threading.Thread(target=lambda: (process.wait(), done.set())).start()
    while not done.wait(0.5):
        peak = max(peak, memory_of(psutil.Process(process.pid)))
    output = (folder / "output").read_text()
    if process.returncode:
        raise SystemExit(output)
    return time.perf_counter() - start, peak / 2**20, output


def seconds_by_rule(output: str) -> pd.DataFrame:
    """Seconds between a job's start and its end, from Snakemake's own output."""
    starts, ends, now = {}, {}, None
    names = {}
    for line in output.splitlines():
        if stamp := re.fullmatch(r"\[(.+)\]", line):
            now = datetime.strptime(stamp[1], "%a %b %d %H:%M:%S %Y")
        elif rule := re.fullmatch(r"(?:local)?rule (\w+):", line):
            name = rule[1]
        elif output_file := re.fullmatch(r"    output: (.+?)(?:, .*)?", line):
            path = output_file[1]
        elif job := re.fullmatch(r"    jobid: (\d+)", line):
            names[job[1]] = name, path
            starts[job[1]] = now
        elif done := re.match(r"Finished jobid: (\d+)", line):
            ends[done[1]] = now
    rows = [(*names[job], (ends[job] - starts[job]).total_seconds()) for job in starts if job in ends and job in names]
    return pd.DataFrame(rows, columns=["rule", "file", "seconds"]).sort_values("seconds", ascending=False)


def main(n_training: int, n_synthetic: int, n_cores: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(n_training, n_synthetic, folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration()))
        seconds, peak, output = run(folder, n_cores)
        audit = folder / "results" / "audits" / NAME
        verdict = json.loads((audit / "public" / "verdict.json").read_text())
        withheld = read_table(audit / "restricted" / "samples.tsv")["withheld"].to_numpy(bool)
        n_copied = round(COPIED * n_synthetic)
    lines = {line["name"]: line for line in verdict["lines"]}
    row = {"training": n_training, "synthetic": n_synthetic, "cores": n_cores}
    row |= {"minutes": round(seconds / 60, 1), "peak_mib": round(peak), "verdict": verdict["verdict"]}
    row |= {f"copies_{end}": round(lines["copies"][end], 4) for end in ("value", "low", "high")}
    row |= {
        "withheld_copies": withheld[:n_copied].mean().round(4),
        "withheld_others": withheld[n_copied:].mean().round(4),
    }
    table = pd.DataFrame([row])
    table.to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)
    jobs = seconds_by_rule(output)
    jobs.to_csv(Path(__file__).with_name("audit_at_scale_jobs.tsv"), sep="\t", index=False)
    print(table.to_string(index=False), jobs.to_string(index=False), sep="\n\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
