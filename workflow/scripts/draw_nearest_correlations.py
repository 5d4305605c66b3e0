"""Draw the distributions of nearest correlations with both thresholds."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting import tables
    from copylens.reporting.figures import nearest_correlations
    from copylens.reporting.page import save

    scores = read_table(snakemake.input.scores)
    tables = tables.nearest_correlations(snakemake.params.runs, scores, snakemake.input.nearest)
    save(nearest_correlations.draw(*tables), snakemake.output.figure)
