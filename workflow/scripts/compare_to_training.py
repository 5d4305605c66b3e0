"""Find the nearest training images of synthetic, calibration and control images."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.similarity import compare_to_training

    compare_to_training(
        snakemake.input.scans,
        snakemake.input.synthetic,
        snakemake.input.reconstructed,
        snakemake.input.splits,
        snakemake.input.training_rows,
        snakemake.params.neighbours,
        snakemake.output.nearest,
    )
