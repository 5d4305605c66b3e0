"""Embed one network's synthetic images, and the held-out images that went through its decoder; find what T has like
them, and like the held-out images themselves."""

from pathlib import Path

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.comparison import compare_to_training
    from copylens.detection import embed_file, load_embedder

    detector = Path(snakemake.input.spec).parent
    embed = load_embedder(detector)
    embed_file(embed, snakemake.input.samples, snakemake.output.synthetic)
    embed_file(embed, snakemake.input.decoded, snakemake.output.reconstructed)

    names = ("images", "samples", "decoded", "scans", "splits", "training_rows")
    files = {name: snakemake.input[name] for name in names}
    files.update({name: snakemake.output[name] for name in ("synthetic", "reconstructed")})
    params = snakemake.params
    compare_to_training(files, detector, params.neighbours, params.search, snakemake.output.nearest)
