"""Judge a set of synthetic images by a policy."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.patients import list_patients
    from copylens.auditing.publish import judge_audit

    names = ("kind", "splits", "samples", "sources", "transforms", "images", "synthetic")
    files = {name: snakemake.input[name] for name in names}
    # Each of these has one file, or none.
    for name in ("membership", "synthetic_scans"):
        files |= {name: snakemake.input[name][0]} if snakemake.input.get(name) else {}
    files["records"] = {part: Path(path) for part, path in snakemake.params.records.items()}
    files["nearest"] = dict(zip(snakemake.params.policy["detectors"], snakemake.input.nearest, strict=True))
    listing = snakemake.params.sources["listing"]
    judge_audit(
        snakemake.wildcards.audit,
        files,
        snakemake.params.policy,
        snakemake.params.config,
        listing.get("synthetic"),
        {name: Path(path) for name, path in snakemake.output.items()},
    )
    real = [part for part in ("training", "held_out") if part in listing]
    tables = dict(zip(real, map(Path, snakemake.input.scans), strict=True))
    list_patients(files, listing, tables, Path(snakemake.output.patients))
