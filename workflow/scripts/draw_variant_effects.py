"""Draw what a variant changes against its base."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import save, variant_effects
    from copylens.files import read_table

    scores = read_table(snakemake.input.scores)
    save([variant_effects.draw(scores, panels) for panels in variant_effects.PAGES], snakemake.output.figure)
