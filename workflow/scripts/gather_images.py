"""Bring a data set's scans to one grid and one scale."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.data.images import gather_images

    settings = snakemake.params.listing, snakemake.params.imaging
    gather_images(*settings, snakemake.input.table, snakemake.output.images, snakemake.threads)
