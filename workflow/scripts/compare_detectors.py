"""Measure how far a study's detectors agree on copies."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.agreement import compare_detectors

    pairs = zip(snakemake.input.nearest, snakemake.input.splits, strict=True)
    files = [{"nearest": nearest, "splits": splits} for nearest, splits in pairs]
    compare_detectors(
        snakemake.params.runs,
        files,
        snakemake.input.scores,
        snakemake.params.intervals,
        snakemake.output.agreement,
        snakemake.output.consensus,
    )
