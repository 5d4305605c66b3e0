"""How long planning a training grid takes, and what a cluster job's own start costs: the Snakefile read again.

    python benchmarks/plan_grid.py 5000

Argument: the least number of jobs. The grid is config.yaml's first study with as many seeds as that takes. Writes
benchmarks/plan_grid.tsv: jobs, seconds and peak memory of the dry run, and the seconds that one job of config.yaml
takes to start.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
JOBS_PER_SEED = 35  # or more
# Like a user's: bytecode is kept.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}


def snakemake(config: Path, folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds and output of a dry run in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(config), "--dry-run", *arguments]
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return time.perf_counter() - start, done.stdout + done.stderr


def main(n_jobs: int) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["built_in"]["seeds"] = list(range(n_jobs // JOBS_PER_SEED + 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        target = "results/data/chest_xray/scans.tsv"
        start = min(snakemake(ROOT / "config.yaml", Path(folder), target)[0] for _ in range(3))
        seconds, output = snakemake(path, Path(folder), "--quiet", "rules")
        planned = int(re.findall(r"^total +(\d+)", output, flags=re.MULTILINE)[-1])
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    row = {"jobs": planned, "plan_s": round(seconds, 1), "plan_mib": round(memory), "job_start_s": round(start, 2)}
    table = pd.DataFrame([row])
    table.to_csv(Path(__file__).with_name("plan_grid.tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(int(sys.argv[1]))
