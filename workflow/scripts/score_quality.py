"""Measure the fidelity, diversity and novelty of a study's samples."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.quality import score_quality

    files = ("scans", "synthetic", "images", "samples", "reconstructed", "splits", "training_rows", "losses")
    paths = [dict(zip(files, row, strict=True)) for row in zip(*map(snakemake.input.get, files), strict=True)]
    runs = snakemake.params.runs
    score_quality(runs, paths, runs[0]["detector"], snakemake.output.quality)
