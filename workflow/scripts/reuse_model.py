"""Take over a trained network for a variant that differs only in its use."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.generation.train import reuse_model

    reuse_model(Path(snakemake.input.weights).parent, Path(snakemake.output.weights).parent)
