"""Draw how many patients a number of samples exposes."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting.figures import exposure_curve
    from copylens.reporting.page import save

    save(exposure_curve.draw(read_table(snakemake.input.exposure)), snakemake.output.figure)
