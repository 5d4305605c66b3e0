"""Measure how far a study's detectors agree on copies."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.agreement import compare_detectors

    compare_detectors(
        snakemake.params.runs,
        snakemake.input.nearest,
        snakemake.input.scores,
        snakemake.output.agreement,
        snakemake.output.consensus,
    )
