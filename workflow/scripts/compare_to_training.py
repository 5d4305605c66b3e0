"""Embed one network's samples, and the held-out images that went through its decoder; find the training images nearest
to them, and to the held-out images themselves."""

from pathlib import Path

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.resources.gpu):
    from copylens.detection.embed import Embedder, embed_file
    from copylens.detection.nearest import compare_to_training
    from copylens.jobs.workdir import Unfinished, work_of

    detector, output, params = Path(snakemake.input.spec).parent, snakemake.output, snakemake.params
    work, embed = work_of(output.nearest).parent, Embedder(detector)
    embed_file(embed, snakemake.input.samples, output.synthetic, Unfinished(work / "synthetic"))
    embed_file(embed, snakemake.input.decoded, output.reconstructed, Unfinished(work / "reconstructed"))

    names = ("images", "samples", "decoded", "scans", "splits", "training_rows")
    files = {name: snakemake.input[name] for name in names}
    files.update({name: output[name] for name in ("synthetic", "reconstructed")})
    compare_to_training(files, detector, params.neighbours, params.search, output.nearest)
