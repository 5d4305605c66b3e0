"""Put an audit's images into arrays of their own, in a folder that only its owner can open."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.pool import pool_images
    from copylens.auditing.publish import restrict

    folder = Path(snakemake.output.images).parent
    restrict(folder.parent)
    files = {name: path for name, path in snakemake.input.items() if name != "code"}
    pool_images(snakemake.params.sources, files, folder)
