"""Draw what a variant changes against its base."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import variant_effects
    from copylens.reporting.page import save

    scores = read_table(snakemake.input.scores)
    save([variant_effects.draw(scores, panels) for panels in variant_effects.PAGES], snakemake.output.figure)
