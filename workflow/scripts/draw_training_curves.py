"""Draw the losses of every network behind a study."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens import figure_tables
    from copylens.figures import save, training_curves

    table = figure_tables.training_curves(snakemake.params.networks, snakemake.input.losses)
    save(training_curves.draw(table), snakemake.output.figure)
