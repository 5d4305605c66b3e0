"""Draw the figure that the rule is named after."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.config.kinds import implementation
    from copylens.reporting.page import save

    figure = implementation("figures", snakemake.rule.removeprefix("draw_"))
    pages = figure.pages(dict(snakemake.input.items()), dict(snakemake.params.items()))
    save(pages, snakemake.output.figure)
