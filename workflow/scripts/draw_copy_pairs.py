"""Draw copies beside their nearest training image, one page per network."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens import figure_tables
    from copylens.figures import copy_pairs, save
    from copylens.files import read_table

    scores = read_table(snakemake.input.scores)
    pages = []
    runs = snakemake.params.runs
    for number, (run, label) in enumerate(zip(runs, figure_tables.run_labels(runs), strict=True)):
        paths = [snakemake.input[name][number] for name in ("nearest", "samples", "images", "scans")]
        pages.append(copy_pairs.draw(*figure_tables.copy_pairs(run, scores, *paths), label))
    save(pages, snakemake.output.figure)
