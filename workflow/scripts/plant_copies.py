"""Plant copies of training images, under every known transform, among control images under the same."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.evaluation.planted import plant_copies

    plant_copies(
        snakemake.params.settings,
        snakemake.input.images,
        snakemake.input.splits,
        [Path(weights).parent for weights in snakemake.input.weights],
        *(snakemake.output[name] for name in ("planted", "sources", "transforms")),
    )
