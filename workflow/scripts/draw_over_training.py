"""Draw copies and quality over a training."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import over_training, save
    from copylens.files import read_table

    save(
        over_training.draw(read_table(snakemake.input.scores), read_table(snakemake.input.quality)),
        snakemake.output.figure,
    )
