"""Draw the figure that the output is named after."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.config.kinds import implementation
    from copylens.reporting.page import save

    figure = implementation("figures", Path(snakemake.output.figure).stem)
    pages = figure.pages(dict(snakemake.input.items()), dict(snakemake.params.items()))
    save(pages, snakemake.output.figure)
