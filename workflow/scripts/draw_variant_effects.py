"""Draw what a variant changes against its base."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import save, variant_effects
    from copylens.files import read_table

    save(variant_effects.draw(read_table(snakemake.input.scores)), snakemake.output.figure)
