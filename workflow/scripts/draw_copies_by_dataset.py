"""Draw copies and memorized patients per data set."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import copies_by_dataset
    from copylens.reporting.page import save

    save(copies_by_dataset.draw(read_table(snakemake.input.scores)), snakemake.output.figure)
