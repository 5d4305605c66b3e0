"""Foretell from a study's trainings on fewer images when those on more begin to memorize."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.forecast import forecast_memorization

    files = ("losses", "training_rows", "spec")
    columns = [map(Path, snakemake.input.get(name)) for name in files]
    paths = [dict(zip(files, row, strict=True)) for row in zip(*columns, strict=True)]
    forecast_memorization(snakemake.params.runs, paths, Path(snakemake.output.forecast))
