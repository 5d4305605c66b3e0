"""Measure what attacks on an audit's samples need."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.attacks import measure_attacks

    paths = (Path(snakemake.input[name]) for name in ("images", "splits", "synthetic"))
    measure_attacks(*paths, Path(snakemake.output.attacks))
