"""Draw copies against image quality."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import memorization_and_quality
    from copylens.reporting.page import save

    save(
        memorization_and_quality.draw(read_table(snakemake.input.scores), read_table(snakemake.input.quality)),
        snakemake.output.figure,
    )
