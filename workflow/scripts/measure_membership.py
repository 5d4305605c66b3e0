"""Measure a network's errors of denoising on the images that it was trained on and on others."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.auditing.membership import measure_errors

    network, *autoencoder = (Path(weights).parent for weights in snakemake.input.weights)
    paths = snakemake.input.images, snakemake.input.splits
    measure_errors(*paths, network, *autoencoder or [None], snakemake.params.seed, snakemake.output.errors)
