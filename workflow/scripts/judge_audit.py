"""Judge a set of synthetic images by a policy."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.auditing.patients import list_patients
    from copylens.auditing.publish import judge_audit
    from copylens.data.source_files import record_of

    names = ("kind", "attacks", "splits", "samples", "sources", "transforms", "images", "synthetic")
    files = {name: snakemake.input[name] for name in names}
    # Each of these has one file, or none.
    for name in ("membership", "synthetic_scans"):
        files |= {name: snakemake.input[name][0]} if snakemake.input.get(name) else {}
    files["nearest"] = dict(zip(snakemake.params.policy["detectors"], snakemake.input.nearest, strict=True))
    listing = snakemake.params.sources["listing"]
    real = [part for part in ("training", "held_out") if part in listing]
    tables = dict(zip(real, map(Path, snakemake.input.scans), strict=True))
    files["records"] = {part: record_of(table) for part, table in tables.items()}
    if "synthetic_scans" in files:
        files["records"]["synthetic"] = record_of(files["synthetic_scans"])
    judge_audit(
        snakemake.wildcards.audit,
        files,
        snakemake.params.policy,
        snakemake.params.config,
        listing.get("synthetic"),
        {name: Path(path) for name, path in snakemake.output.items()},
    )
    list_patients(files, listing, tables, Path(snakemake.output.patients))
