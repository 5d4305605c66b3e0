"""List the near-duplicates in a data set."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.evaluation.duplicates import find_duplicates

    find_duplicates(
        snakemake.params.detector["settings"],
        snakemake.params.detector["neighbours"],
        snakemake.input.images,
        snakemake.input.table,
        Path(snakemake.output.duplicates),
    )
