"""Set the verdicts on a study's networks beside the quality of their images."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.mitigations import tabulate_mitigations

    files = ("verdict", "spec", "seconds")
    columns = [map(Path, snakemake.input.get(name)) for name in files]
    paths = [dict(zip(files, row, strict=True)) for row in zip(*columns, strict=True)]
    tables = [Path(snakemake.input.quality), *map(Path, snakemake.input.get("usefulness", []))]
    tabulate_mitigations(snakemake.params.runs, paths, tables, Path(snakemake.output.mitigations))
