"""Draw which parts of training images samples repeat, one page per network and detector that says where."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.jobs.files import read_table
    from copylens.reporting import tables
    from copylens.reporting.figures import copied_regions
    from copylens.reporting.page import save

    scores, runs = read_table(snakemake.input.scores), snakemake.params.runs
    pages = []
    for number, (run, label) in enumerate(zip(runs, tables.run_labels(runs), strict=True)):
        paths = [snakemake.input[name][number] for name in ("regions", "samples", "images")]
        pages.append(copied_regions.draw(*tables.copied_regions(run, scores, *paths), label))
    save(pages, snakemake.output.figure)
