"""Count a study's copies and memorized patients, with both rules and their intervals."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.scores import score_copies

    files = ("nearest", "splits", "training_rows", "spec")
    paths = [dict(zip(files, row, strict=True)) for row in zip(*map(snakemake.input.get, files), strict=True)]
    score_copies(
        snakemake.params.runs,
        paths,
        snakemake.params.intervals["draws"],
        snakemake.params.intervals["seed"],
        snakemake.output.scores,
        snakemake.output.exposure,
    )
