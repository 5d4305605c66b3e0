"""Train one copy detector, and embed the data set's real images with it."""

from pathlib import Path

from copylens.jobs.job import deadline, job

libraries = ("lightning",) if "training" in snakemake.params.settings else ()
with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu, libraries):
    from copylens.detection.embed import Embedder, embed_file
    from copylens.detection.train import train_detector
    from copylens.jobs.workdir import Unfinished, work_of

    folder = Path(snakemake.output.weights).parent
    work = work_of(folder)
    files = {name: snakemake.input[name] for name in ("images", "splits")}
    unfinished = Unfinished(work / "training", deadline(snakemake.resources.runtime))
    train_detector(snakemake.params.settings, files, folder, unfinished)
    embed_file(Embedder(folder), snakemake.input.images, snakemake.output.scans, Unfinished(work / "embedding"))
