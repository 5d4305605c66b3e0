"""Draw copies and memorized patients by kind of model."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import copies_by_model
    from copylens.reporting.page import save

    save(copies_by_model.draw(read_table(snakemake.input.scores)), snakemake.output.figure)
