"""Measure what a study's samples are worth to networks that learn from them alone."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.evaluation.usefulness import score_usefulness

    files = ("images", "samples", "splits", "training_rows", "spec")
    columns = [map(Path, snakemake.input.get(name)) for name in files]
    paths = [dict(zip(files, row, strict=True)) for row in zip(*columns, strict=True)]
    score_usefulness(snakemake.params.runs, paths, snakemake.params.settings, Path(snakemake.output.usefulness))
