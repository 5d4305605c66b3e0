"""Train one generative network."""

from pathlib import Path

from copylens.jobs.job import deadline, job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu, ("lightning",), snakemake.log.cost):
    from copylens.generation.train import train_model
    from copylens.jobs.workdir import Unfinished, work_of

    folder = Path(snakemake.output.weights).parent
    files = {"images": Path(snakemake.input.images), "splits": Path(snakemake.input.splits)}
    if snakemake.input.autoencoder:
        files["autoencoder"] = Path(snakemake.input.autoencoder[0]).parent
    if snakemake.input.pretrained:
        files["pretrained"] = Path(snakemake.input.pretrained[0]).parent
    if snakemake.input.teacher:
        files["teacher"] = Path(snakemake.input.teacher[0])
    unfinished = Unfinished(work_of(folder), deadline(snakemake.resources.runtime))
    seed, settings = int(snakemake.wildcards.seed), snakemake.params.settings
    train_model(settings, seed, files, folder, unfinished, snakemake.resources.gpu)
