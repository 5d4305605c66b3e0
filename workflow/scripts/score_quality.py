"""Measure the fidelity, diversity and novelty of a study's samples."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.evaluation.quality import score_quality

    files = ("detector", "scans", "images", "samples", "reconstructed", "splits", "training_rows", "spec")
    paths = [dict(zip(files, row, strict=True)) for row in zip(*map(snakemake.input.get, files), strict=True)]
    paths = [{**row, "detector": Path(row["detector"]).parent} for row in paths]
    runs = snakemake.params.runs
    score_quality(runs, paths, runs[0]["detector"], snakemake.output.quality)
