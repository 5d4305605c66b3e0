"""Draw the denoising losses of training images beside those of calibration images."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens import figure_tables
    from copylens.figures import denoising_gap, save
    from copylens.files import read_table

    denoising = figure_tables.denoising(snakemake.params.networks, snakemake.input.denoising)
    save(denoising_gap.draw(denoising, read_table(snakemake.input.scores)), snakemake.output.figure)
