"""Draw pairs for people to judge, with the key and a table for their answers."""

from copylens.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.evaluation.review import draw_pairs
    from copylens.reporting.figures import review_sheet
    from copylens.reporting.page import save

    names = ("nearest", "samples", "images")
    files = [dict(zip(names, row, strict=True)) for row in zip(*map(snakemake.input.get, names), strict=True)]
    sheets = draw_pairs(
        snakemake.params.runs,
        files,
        snakemake.input.scores,
        snakemake.params.settings,
        snakemake.output.key,
        snakemake.output.answers,
    )
    save([page for sheet in sheets for page in review_sheet.draw(*sheet)], snakemake.output.figure)
