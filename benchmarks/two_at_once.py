"""Two trainings of one thread at once, as `snakemake --cores 2` runs them, against one after the other on two threads.

    python benchmarks/two_at_once.py

Writes benchmarks/two_at_once.tsv: seconds of both orders, for two autoencoders of config.yaml, and their ratio. Needs
two idle cores.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from copylens.config.checks import check
from copylens.config.spec import training_settings
from copylens.jobs.files import write_array, write_table

ROOT, STEPS, N_IMAGES = Path(__file__).parents[1], 300, 60
CODE = """
import sys
from pathlib import Path
from copylens.jobs.job import job

folder, name, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with job(str(folder / f"{name}.log"), threads):
    import yaml
    from copylens.generation.train import train_model
    from copylens.jobs.workdir import Unfinished

    settings = yaml.safe_load((folder / "settings.yaml").read_text())
    files = {"images": folder / "images.npy", "splits": folder / "splits.tsv"}
    train_model(settings, 0, files, folder / name, Unfinished(folder / f"work_{name}"))
"""


def start(folder: Path, name: str, threads: int) -> subprocess.Popen:
    command = [sys.executable, "-c", CODE, str(folder), name, str(threads)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})


def main() -> None:
    config = check(yaml.safe_load((ROOT / "config.yaml").read_text()))
    settings = training_settings(config, "autoencoder", "base")
    settings["training"] |= {"steps": STEPS, "checkpoint_every": STEPS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        write_array(np.random.default_rng(0).random((N_IMAGES, 32, 32)), folder / "images.npy")
        names = [f"p{number}" for number in range(N_IMAGES)]
        write_table(pd.DataFrame({"scan": names, "patient": names, "role": "train"}), folder / "splits.tsv")
        begin = time.perf_counter()
        assert start(folder, "first", 2).wait() == 0 and start(folder, "second", 2).wait() == 0
        in_turn = time.perf_counter() - begin
        begin = time.perf_counter()
        assert all([process.wait() == 0 for process in [start(folder, "third", 1), start(folder, "fourth", 1)]])
        at_once = time.perf_counter() - begin
    row = {"steps": STEPS, "in_turn_s": round(in_turn, 1), "at_once_s": round(at_once, 1)}
    table = pd.DataFrame([row | {"ratio": round(at_once / in_turn, 2)}])
    table.to_csv(Path(__file__).with_name("two_at_once.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
