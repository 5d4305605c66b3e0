"""Write a full similarity matrix, on request."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.detection.search import write_matrix

    write_matrix(
        snakemake.input.scans,
        snakemake.input.synthetic,
        snakemake.input.training_rows,
        snakemake.output.matrix,
    )
