"""Draw copies beside their nearest training image, one page per network."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting import tables
    from copylens.reporting.figures import copy_pairs
    from copylens.reporting.page import save

    scores = read_table(snakemake.input.scores)
    pages = []
    runs = snakemake.params.runs
    for number, (run, label) in enumerate(zip(runs, tables.run_labels(runs), strict=True)):
        paths = [snakemake.input[name][number] for name in ("nearest", "samples", "images", "scans")]
        pages.append(copy_pairs.draw(*tables.copy_pairs(run, scores, *paths), label))
    save(pages, snakemake.output.figure)
