"""Draw which planted copies each detector finds."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    import pandas as pd

    from copylens.jobs.files import read_table
    from copylens.reporting.figures import detector_benchmark
    from copylens.reporting.page import save

    tables = zip(snakemake.params.datasets, snakemake.input.benchmarks, strict=True)
    benchmark = pd.concat([read_table(path).assign(dataset=dataset) for dataset, path in tables])
    shown = benchmark[benchmark["detector"].isin(snakemake.params.detectors)]
    save(detector_benchmark.draw(shown), snakemake.output.figure)
