"""Draw the distributions of nearest correlations with both thresholds."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens import figure_tables
    from copylens.figures import nearest_correlations, save
    from copylens.files import read_table

    scores = read_table(snakemake.input.scores)
    tables = figure_tables.nearest_correlations(snakemake.params.runs, scores, snakemake.input.nearest)
    save(nearest_correlations.draw(*tables), snakemake.output.figure)
