"""Write an audit's reports, for everybody and restricted."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.report import report_audit

    names = ("verdict", "public_samples", "restricted_samples", "splits", "samples", "images", "synthetic")
    files = {name: snakemake.input[name] for name in (*names, "kind", "attacks", "sources", "transforms", "rest")}
    files["nearest"] = {Path(path).stem: path for path in snakemake.input.nearest}
    folders = (Path(snakemake.output[name][0]).parent for name in ("public", "restricted"))
    report_audit(files, *folders)
