"""Embed a data set's real images."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.detection import embed

    embed(Path(snakemake.input.weights).parent, snakemake.input.images, snakemake.output.scans)
