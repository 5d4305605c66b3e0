"""Draw copies and memorized patients by kind of model."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import copies_by_model, save
    from copylens.files import read_table

    save(copies_by_model.draw(read_table(snakemake.input.scores)), snakemake.output.figure)
