"""Measure a network's losses on the images that it was trained on and on others."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.auditing.membership import measure_losses

    autoencoder, network = (Path(weights).parent for weights in snakemake.input.weights)
    paths = snakemake.input.images, snakemake.input.splits
    measure_losses(*paths, network, autoencoder, snakemake.params.seed, snakemake.output.losses)
