"""Draw synthetic images from a trained network."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.generation.sample import draw_samples
    from copylens.jobs.workdir import Unfinished, work_of

    files = {"model": Path(snakemake.input.weights).parent, "images": snakemake.input.images}
    files |= {"splits": snakemake.input.splits}
    if snakemake.input.autoencoder:
        files["autoencoder"] = Path(snakemake.input.autoencoder[0]).parent
    outputs = {name: Path(snakemake.output[name]) for name in ("images", "reconstructed", "denoising")}
    unfinished = Unfinished(work_of(outputs["images"]).parent)
    draw_samples(snakemake.params.settings, files, outputs, unfinished)
