"""Gather the samples that aren't withheld."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.release import gather_rest

    gather_rest(
        snakemake.input.verdict,
        snakemake.input.samples,
        snakemake.input.synthetic,
        snakemake.params.sources["listing"].get("synthetic"),
        next(iter(snakemake.input.get("synthetic_scans", [])), None),
        snakemake.input.files,
        Path(snakemake.output.rest),
    )
