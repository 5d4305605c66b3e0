"""Draw the losses of every network behind a study."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.reporting import tables
    from copylens.reporting.figures import training_curves
    from copylens.reporting.page import save

    table = tables.training_curves(snakemake.params.networks, snakemake.input.losses)
    save(training_curves.draw(table), snakemake.output.figure)
