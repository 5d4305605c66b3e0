"""Train one copy detector, and embed the data set's real images with it."""

from pathlib import Path

from copylens.jobs.job import deadline, job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.detection.embed import Embedder, embed_file
    from copylens.detection.train import train_detector

    folder = Path(snakemake.output.weights).parent
    work = Path("work", *folder.parts[1:])
    train_detector(
        snakemake.params.settings,
        snakemake.input.images,
        snakemake.input.splits,
        work / "training",
        folder,
        deadline(snakemake.resources.runtime),
    )
    embed_file(Embedder(folder), snakemake.input.images, snakemake.output.scans, work / "embedding")
