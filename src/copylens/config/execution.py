"""Checks of how the workflow is run: resources by their names, and the executor."""

import difflib
import shutil

# The resources that Snakemake and its Slurm executor read; they ignore a misspelt one in silence.
RESOURCES = {
    *("mem", "mem_mb", "mem_mib", "mem_mb_per_cpu", "disk", "disk_mb", "disk_mib", "tmpdir", "runtime"),
    *("gpu", "gpu_model", "gres", "tasks", "tasks_per_gpu", "tasks_per_node", "nodes", "mpi"),
    *("cpus_per_task", "cpus_per_gpu", "constraint", "qos", "cluster", "clusters"),
    *("slurm_partition", "slurm_account", "slurm_cluster", "slurm_extra"),
}
MEANT = {"gpus": "gpu", "time": "runtime", "walltime": "runtime", "memory": "mem_mb", "ram": "mem_mb"}
MEANT |= {"partition": "slurm_partition", "account": "slurm_account", "cores": "threads", "cpus": "threads"}


def check_resources(named: dict) -> None:
    """Raise ValueError for the first of {rule: its resources' names} that looks like a misspelt one."""
    for rule, resources in named.items():
        for name in set(resources) - RESOURCES:
            close = MEANT.get(name) or next(iter(difflib.get_close_matches(name, sorted(RESOURCES), 1, 0.75)), None)
            if close and not name.startswith("_"):
                raise ValueError(f"{rule}: '{name}' would be ignored in silence; did you mean '{close}'?")


def check_executor(name: str) -> None:
    """Raise ValueError if this machine can't submit jobs for the executor `name`."""
    if name == "slurm" and shutil.which("sbatch") is None:
        raise ValueError(
            "Slurm's sbatch isn't on this machine's PATH; run it on a cluster's login node, or without --profile slurm"
        )
