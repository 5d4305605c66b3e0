"""Say how far a study's detectors agree about which samples are copies."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.agreement import compare_detectors

    compare_detectors(
        snakemake.params.runs,
        snakemake.input.nearest,
        snakemake.input.scores,
        snakemake.output.agreement,
        snakemake.output.consensus,
    )
