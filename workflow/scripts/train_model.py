"""Train one generative network."""

from pathlib import Path

from copylens.jobs.job import deadline, job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.generation.train import train_model

    folder = Path(snakemake.output.weights).parent
    train_model(
        snakemake.params.settings,
        int(snakemake.wildcards.seed),
        snakemake.input.images,
        snakemake.input.splits,
        next((Path(weights).parent for weights in snakemake.input.autoencoder), None),
        Path("work", *folder.parts[1:]),
        folder,
        deadline(snakemake.resources.runtime),
        snakemake.resources.gpu,
    )
