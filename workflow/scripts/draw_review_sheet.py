"""Draw pairs for people to judge, with the key and a table for their answers."""

from copylens.job import job

with job(snakemake.log[0], snakemake.threads):
    from copylens.figures import review_sheet, save
    from copylens.review import draw_pairs

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
