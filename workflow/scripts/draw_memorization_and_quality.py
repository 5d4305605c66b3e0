"""Draw copies against image quality."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import memorization_and_quality, save
    from copylens.files import read_table

    save(
        memorization_and_quality.draw(read_table(snakemake.input.scores), read_table(snakemake.input.quality)),
        snakemake.output.figure,
    )
