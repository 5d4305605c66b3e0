"""Divide a data set's patients into training, calibration and control."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.data.splits import split_patients

    duplicates = next(iter(snakemake.input.get("duplicates", [])), None)
    split_patients(snakemake.params.settings, snakemake.input.table, snakemake.output.splits, duplicates)
