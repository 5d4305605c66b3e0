"""Find the nearest training images of synthetic, calibration and control images."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.comparison import compare_to_training

    names = ("images", "samples", "decoded", "scans", "synthetic", "reconstructed", "splits", "training_rows")
    compare_to_training(
        {name: snakemake.input[name] for name in names},
        Path(snakemake.input.spec).parent,
        snakemake.params.neighbours,
        snakemake.output.nearest,
    )
