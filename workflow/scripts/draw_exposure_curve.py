"""Draw how many patients a number of samples exposes."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import exposure_curve, save
    from copylens.files import read_table

    save(exposure_curve.draw(read_table(snakemake.input.exposure)), snakemake.output.figure)
