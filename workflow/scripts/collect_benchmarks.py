"""Put the benchmarks of a data set's detectors into one table."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    import pandas as pd

    from copylens.jobs.files import read_table, write_table

    write_table(pd.concat(map(read_table, snakemake.input.benchmarks)), snakemake.output.benchmark)
