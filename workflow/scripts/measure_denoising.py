"""Measure how well a network denoises its training images, beside images that it never saw."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.epochs import snapshot_of
    from copylens.generators import measure_denoising

    measure_denoising(
        Path(snakemake.input.weights).parent,
        next((Path(weights).parent for weights in snakemake.input.autoencoder), None),
        snapshot_of(snakemake.wildcards.epoch),
        snakemake.input.images,
        snakemake.input.splits,
        snakemake.output.table,
    )
