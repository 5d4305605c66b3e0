"""List a data set's scans under pseudonyms."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.data.listing import list_scans

    list_scans(snakemake.params.settings, snakemake.output.table, snakemake.params.state, snakemake.threads)
