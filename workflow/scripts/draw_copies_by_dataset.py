"""Draw copies and memorized patients per data set."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import copies_by_dataset, save
    from copylens.files import read_table

    save(copies_by_dataset.draw(read_table(snakemake.input.scores)), snakemake.output.figure)
