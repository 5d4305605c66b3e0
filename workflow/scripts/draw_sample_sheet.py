"""Draw samples of every network, beside real images."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.reporting import tables
    from copylens.reporting.figures import sample_sheet
    from copylens.reporting.page import save

    inputs = (snakemake.input[name] for name in ("samples", "images", "splits"))
    save(sample_sheet.draw(tables.sample_sheets(snakemake.params.runs, *inputs)), snakemake.output.figure)
