"""Correct a study's copies for the sensitivity and the false positive rate of its detectors."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.correction import correct_rates

    detectors = [(detector["dataset"], detector["detector"]) for detector in snakemake.params.detectors]
    correct_rates(
        snakemake.input.scores,
        dict(zip(detectors, snakemake.input.planted, strict=True)),
        snakemake.params.settings["transforms"],
        snakemake.input.get("review", []),
        snakemake.output.corrected,
    )
