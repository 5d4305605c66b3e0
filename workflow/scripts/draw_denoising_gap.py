"""Draw the denoising losses of training images beside those of calibration images."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting import tables
    from copylens.reporting.figures import denoising_gap
    from copylens.reporting.page import save

    denoising = tables.denoising(snakemake.params.networks, snakemake.input.denoising)
    save(denoising_gap.draw(denoising, read_table(snakemake.input.scores)), snakemake.output.figure)
