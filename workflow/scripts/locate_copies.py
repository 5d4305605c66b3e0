"""Find which parts of training images one network's samples repeat."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.detection.regions import locate_copies

    paths = [snakemake.input[name] for name in ("nearest", "samples", "images")]
    locate_copies(*paths, Path(snakemake.input.spec).parent, snakemake.output.regions)
