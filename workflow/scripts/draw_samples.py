"""Draw synthetic images from a trained network."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.generation.sample import draw_samples

    draw_samples(
        Path(snakemake.input.weights).parent,
        next((Path(weights).parent for weights in snakemake.input.autoencoder), None),
        snakemake.params.settings,
        snakemake.input.images,
        snakemake.input.splits,
        snakemake.output.images,
        snakemake.output.reconstructed,
        snakemake.output.denoising,
        Path("work", *Path(snakemake.output.images).parts[1:-1]),
    )
