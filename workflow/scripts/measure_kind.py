"""Measure whether an audit's samples are images of the same kind as the patients'."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.kind import measure_kind

    paths = (Path(snakemake.input[name]) for name in ("images", "splits", "synthetic"))
    measure_kind(*paths, Path(snakemake.output.kind))
