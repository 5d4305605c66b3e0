"""Draw copies and quality over a training."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import over_training
    from copylens.reporting.page import save

    save(
        over_training.draw(read_table(snakemake.input.scores), read_table(snakemake.input.quality)),
        snakemake.output.figure,
    )
