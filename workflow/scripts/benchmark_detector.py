"""Measure how well one detector finds planted copies."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.evaluation.benchmark import benchmark_detector

    names = ("images", "splits", "scans", "planted", "sources", "transforms")
    benchmark_detector(
        {name: snakemake.input[name] for name in names},
        Path(snakemake.input.spec).parent,
        snakemake.wildcards.detector,
        snakemake.output.benchmark,
        snakemake.output.planted,
    )
