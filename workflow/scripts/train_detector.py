"""Train one copy detector, and embed the data set's real images with it."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.detection import embed_file, load_embedder, train_detector

    folder = Path(snakemake.output.weights).parent
    train_detector(
        snakemake.params.settings,
        snakemake.input.images,
        snakemake.input.splits,
        Path("work/detectors", *folder.parts[-2:]),
        folder,
    )
    embed_file(load_embedder(folder), snakemake.input.images, snakemake.output.scans)
