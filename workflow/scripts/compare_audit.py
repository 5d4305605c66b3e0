"""Find the training images nearest to each image of an audit, by one detector."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.auditing.nearest import compare_audit

    names = ("images", "splits", "scans", "synthetic", "decoded", "planted")
    compare_audit(
        {name: snakemake.input[name] for name in names},
        Path(snakemake.input.spec).parent,
        snakemake.params.neighbours,
        snakemake.params.search,
        snakemake.output.nearest,
        dict(zip(snakemake.params.other, snakemake.input.other, strict=True)) if snakemake.input.other else None,
    )
