"""Embed one network's synthetic images, and the held-out images that went through its decoder."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.detection import embed_file, load_embedder

    embed = load_embedder(Path(snakemake.input.weights).parent)
    embed_file(embed, snakemake.input.images, snakemake.output.synthetic)
    embed_file(embed, snakemake.input.reconstructed, snakemake.output.reconstructed)
