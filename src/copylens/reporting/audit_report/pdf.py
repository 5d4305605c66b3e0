"""report.pdf: the report in short, on A4 to be printed, signed and filed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from copylens.reporting.audit_report import annex, charts, numbers, paragraphs, tables
from copylens.reporting.audit_report.sheets import BODY, BOTTOM, CELL, HEIGHT, LINE, MARGIN, TONES, WIDTH, Sheets
from copylens.reporting.figures.copy_pairs import DIFFERENCE
from copylens.reporting.page import (
    FAINT,
    QUIET,
    fit,
    house_style,
    paper,
    paragraph,
    save,
    show,
    stroke,
    text_width,
    write,
)

MAX_ROWS = 100

# All in inches.
BANNER, SIGN, GAP, CAPTION = 0.85, 0.28, 0.25, 0.42


@house_style()
def write_pdf(
    verdict: dict, samples: pd.DataFrame, scores: dict, restricted, n_pairs: int, released: str, path: Path
) -> None:
    """Write the PDF of a report.

    restricted: that of `write_report`, with the pairs to show; n_pairs: how many flagged samples have one. released:
    what may be released, in words.
    """
    sheets, edition = Sheets(), "restricted" if restricted else "public"
    _first_page(sheets, verdict, released)
    sheets.heading("The lines explained")
    sheets.table(_explanations(tables.lines_table(verdict)), 6.5)
    sheets.heading("What was compared")
    sheets.text(verdict["rule"]["text"])
    sheets.table(tables.counts_table(verdict))
    sheets.table(tables.policy_table(verdict))
    if restricted:
        _kind(sheets, restricted)
    _figures(sheets, verdict, scores, edition)
    sheets.heading("Who is exposed")
    if verdict["groups"]:
        sheets.table(tables.groups_table(verdict))
    else:
        sheets.text(paragraphs.NOT_BROKEN_DOWN)
    sheets.heading("Quarantine")
    sheets.text(*paragraphs.quarantine_words(verdict))
    sheets.heading("Attacks with the samples")
    sheets.text(*paragraphs.disclosure_words(verdict))
    sheets.table(tables.risks_table(verdict), 6.5)
    sheets.heading("Attacks with the weights")
    sheets.text(*paragraphs.membership_words(verdict))
    sheets.heading("Samples")
    sheets.text(*paragraphs.samples_words(verdict, samples))
    if restricted:
        _samples(sheets, verdict, samples)
        _pairs(sheets, samples, restricted.pairs, n_pairs)
    else:
        sheets.text(paragraphs.PUBLIC_SAMPLES)
    sheets.heading("What this audit cannot say")
    sheets.text(*(f"•  {limit}" for limit in verdict["limits"]))
    sheets.heading("Words")
    sheets.table(tables.words_table())
    sheets.heading("Annex: risks and limits")
    sheets.text(annex.SOURCES)
    sheets.table(tables.annex_table(verdict), 6.5)
    sheets.heading("Provenance")
    sheets.table(tables.provenance_table(verdict))
    _frames(sheets.pages, verdict["audit"], edition)
    save(sheets.pages, path, f"{verdict['verdict']}: audit {verdict['audit']}, {edition} edition")


def _first_page(sheets: Sheets, verdict: dict, released: str) -> None:
    sheets.need(1)
    write(sheets.page, MARGIN, sheets.top, fit(verdict["audit"], BODY, 8), size=8, color=QUIET)
    write(sheets.page, MARGIN, sheets.top + 0.3, "Can this synthetic data set be released?", size=15, weight="bold")
    sheets.top += 0.5
    _banner(sheets.page, sheets.top, verdict)
    sheets.top += BANNER + 0.2
    sheets.text(f"What may be released: {released}")
    if verdict["reasons"]:
        sheets.heading("Why")
        sheets.text(*(f"•  {reason}" for reason in verdict["reasons"]))
    if verdict["needed"]:
        sheets.heading("What would be needed")
        sheets.text(*(f"•  {need}" for need in verdict["needed"]))
    sheets.heading("The policy, line by line")
    sheets.table(_without_explanations(tables.lines_table(verdict)), 6.5)
    signed = paragraphs.signature_words(verdict)
    height = LINE * len(paragraph(signed, BODY, 8.5)) + 0.04 + 2 * SIGN
    sheets.need(height)
    if len(sheets.pages) == 1:
        sheets.top = max(sheets.top, HEIGHT - BOTTOM - height)
    sheets.text(signed)
    half = BODY / 2
    for number, name in enumerate(paragraphs.SIGNED_BY):
        left = MARGIN + half * (number % 2)
        top = sheets.top + SIGN * (1 + number // 2) - 0.12
        write(sheets.page, left, top, name, size=7.5, color=QUIET)
        stroke(sheets.page, left + 0.8, top + 0.02, half - 1.0, color=QUIET, linewidth=0.5)
    sheets.top += 2 * SIGN


def _without_explanations(lines: tables.Table) -> tables.Table:
    """A line of text for each line of the verdict, so that page one has room for the signature."""
    return replace(
        lines, columns=lines.columns[:4], rows=[row[:4] for row in lines.rows], widths=(0.12, 0.46, 0.23, 0.19)
    )


def _explanations(lines: tables.Table) -> tables.Table:
    """The lines with their explanations alone."""
    rows = [(outcome, question, why) for outcome, question, *_, why in lines.rows]
    columns = ("Outcome", "Question", "Explanation")
    return tables.Table("Each line explained.", columns, rows, (), (0.12, 0.33, 0.55))


def _banner(page: Figure, top: float, verdict: dict) -> None:
    """The verdict in its colour, with a sign whose shape says the same."""
    kind = paragraphs.VERDICTS[verdict["verdict"]][0]
    tone, tint = TONES[kind]
    sheet = paper(page)
    sheet.add_patch(Rectangle((MARGIN, top), BODY, BANNER, facecolor=tint, linewidth=0))
    sheet.add_patch(Rectangle((MARGIN, top), 0.07, BANNER, facecolor=tone, linewidth=0))
    x, y, r = MARGIN + 0.7, top + BANNER / 2, 0.33
    line = {"fill": False, "edgecolor": tone, "linewidth": 2.4, "joinstyle": "round"}
    stroke_of = {"color": tone, "linewidth": 2.6, "solid_capstyle": "round", "solid_joinstyle": "round"}
    if kind == "pass":
        sheet.add_patch(Circle((x, y), r, fill=False, edgecolor=tone, linewidth=2.4))
        sheet.plot([x - 0.15, x - 0.04, x + 0.17], [y + 0.01, y + 0.13, y - 0.13], **stroke_of)
    elif kind == "fail":
        turns = np.pi * (np.arange(8) + 0.5) / 4
        sheet.add_patch(Polygon(np.c_[x + 1.08 * r * np.cos(turns), y + 1.08 * r * np.sin(turns)], **line))
        for side in (-1, 1):
            sheet.plot([x - 0.12, x + 0.12], [y - 0.12 * side, y + 0.12 * side], **stroke_of)
    else:
        sheet.add_patch(Polygon([(x, y - 0.35), (x + 0.39, y + 0.29), (x - 0.39, y + 0.29)], **line))
        sheet.plot([x, x], [y - 0.12, y + 0.07], **stroke_of)
        sheet.plot([x, x], [y + 0.185, y + 0.186], **stroke_of)
    write(page, x + 0.65, y + 0.08, verdict["verdict"], size=26, weight="bold", color=tone)
    write(page, x + 0.66, y + 0.34, fit(paragraphs.sentence_of(verdict), BODY - 1.5, 8.5), size=8.5)


def _kind(sheets: Sheets, restricted) -> None:
    """A misoriented sample, and the held-out patients like training patients."""
    if restricted.lying:
        images = [charts.flat(image) for image in restricted.lying]
        size = min((BODY - 2 * GAP) / 3, 2.0)
        height = size * max(image.shape[0] / image.shape[1] for image in images)
        sheets.heading("Orientation of the samples", height + CAPTION)
        sheet = paper(sheets.page)
        for place, (name, image) in enumerate(zip(paragraphs.LYING, images, strict=True)):
            left, high = MARGIN + place * (size + GAP), size * image.shape[0] / image.shape[1]
            show(sheet, image, left, sheets.top, size, high, cmap="gray", vmin=0, vmax=1)
            write(sheets.page, left, sheets.top + height + 0.14, name, size=7)
        sheets.top += height + CAPTION
    if restricted.alike:
        sheets.heading("Held-out patients like training patients")
        sheets.table(tables.alike_table(restricted.alike))


def _figures(sheets: Sheets, verdict: dict, scores: dict, edition: str) -> None:
    sheets.heading("Detectors")
    sheets.table(tables.detectors_table(verdict), 6.5)
    sheets.table(tables.compared_table(verdict), 6.5)
    height = charts.sensitivity_height(verdict)
    sheets.heading("Planted copies", height + 0.6)
    sheets.text(paragraphs.ABOUT_PLANTED)
    _figure(sheets, height, partial(charts.sensitivity, verdict=verdict), paragraphs.CAPTIONS["sensitivity"])
    sheets.table(tables.sensitivity_table(verdict))
    _similarities(sheets, verdict, scores, edition)
    sheets.heading("Patients exposed")
    sheets.text(*paragraphs.exposure_words(verdict), *([paragraphs.WHOM] if edition == "restricted" else []))
    _figure(sheets, charts.EXPOSURE, partial(charts.exposure, verdict=verdict), paragraphs.CAPTIONS["exposure"])


def _figure(sheets: Sheets, height: float, draw: Callable[[Figure, float, float, float], None], caption: str) -> None:
    """A figure on the left half, and its caption on the right one."""
    half = (BODY - GAP) / 2
    sheets.need(height)
    draw(sheets.page, MARGIN, sheets.top, half)
    for number, line in enumerate(paragraph(caption, half, 7.5)):
        write(sheets.page, MARGIN + half + GAP, sheets.top + 0.12 + CELL * number, line, size=7.5, color=QUIET)
    sheets.top += height + 0.15


def _similarities(sheets: Sheets, verdict: dict, scores: dict, edition: str) -> None:
    """The similarities under each detector, two in a row."""
    half = (BODY - GAP) / 2
    taus = {row["detector"]: row.get("tau") for row in verdict["detectors"]}
    detectors = verdict["rule"]["detectors"]
    about = paragraphs.about_similarities(edition == "public")
    sheets.heading("Similarities", charts.HISTOGRAM + 0.2 + LINE * len(paragraph(about, BODY, 8.5)))
    sheets.text(about)
    for start in range(0, len(detectors), 2):
        sheets.need(charts.HISTOGRAM + 0.2)
        for column, name in enumerate(detectors[start : start + 2]):
            left = MARGIN + column * (half + GAP)
            at, groups = (sheets.page, left, sheets.top, half, name), scores.get(name, {})
            if edition == "public":
                charts.shares(*at, groups)
            else:
                charts.histogram(*at, groups, taus.get(name))
        sheets.top += charts.HISTOGRAM + 0.2


def _samples(sheets: Sheets, verdict: dict, samples: pd.DataFrame) -> None:
    """The first flagged samples."""
    detectors = verdict["rule"]["detectors"]
    flagged_rows = samples[paragraphs.flagged(samples)]
    columns, rows = tables.sample_columns(flagged_rows.head(MAX_ROWS), detectors)
    more = f" The first {MAX_ROWS} are listed; the page report.html has all." if len(flagged_rows) > MAX_ROWS else ""
    caption = f"{numbers.number(len(flagged_rows))} of {numbers.number(len(samples))} samples are flagged.{more}"
    kept = [place for place, column in enumerate(columns) if column["name"] != "Copy"]
    names = [f"{columns[place]['group']} {columns[place]['name'].lower()}".strip() for place in kept]
    cells = [[_cell(row[place]) for place in kept] for row in rows]
    widths = [
        max(text_width(text, 6) for text in (*names[place].split(" "), *texts)) + 0.12
        for place, texts in enumerate(zip(*cells, strict=True))
    ] or [1.0] * len(kept)
    right = tuple(place for place, at in enumerate(kept) if columns[at]["number"])
    shares = tuple(width / sum(widths) for width in widths)
    sheets.table(tables.Table(caption, tuple(names), list(map(tuple, cells)), right, shares), 6)


def _cell(value: float | str | None) -> str:
    if value is None:
        return numbers.UNKNOWN
    return fit(value, 1.3, 6, keep="end") if isinstance(value, str) else numbers.number(value)


def _pairs(sheets: Sheets, samples: pd.DataFrame, pairs: dict, n_pairs: int) -> None:
    """Pages of pairs: synthetic image, nearest training image, difference."""
    sheets.top = HEIGHT
    sheets.heading("Flagged pairs")
    limit = charts.difference_limit(pairs)
    more = f"{len(pairs)} are shown; there are {numbers.number(n_pairs - len(pairs))} more. " * (n_pairs > len(pairs))
    note = (
        "Synthetic image, nearest training image, and difference: orange where the synthetic image is brighter, at its "
        f"strongest from {numbers.number(limit)} of the scale on."
    )
    sheets.text(f"{more}{note}" if pairs else "There are none.")
    volumes = any(synthetic.ndim == 3 for synthetic, _ in pairs.values())
    n_columns = 1 if volumes else 2
    width = (BODY - (n_columns - 1) * GAP) / n_columns
    shades = [{"cmap": "gray", "vmin": 0, "vmax": 1}] * 2 + [{"cmap": DIFFERENCE, "vmin": -limit, "vmax": limit}]
    samples_shown = list(pairs)
    for start in range(0, len(samples_shown), n_columns):
        rows, columns = charts.flat(pairs[samples_shown[start]][0]).shape
        size = min((width - 0.1) / 3, 3.0 * columns / rows)
        height = size * rows / columns
        sheets.need(height + CAPTION)
        sheet = paper(sheets.page)
        for column, sample in enumerate(samples_shown[start : start + n_columns]):
            left = MARGIN + column * (width + GAP)
            synthetic, training = map(charts.flat, pairs[sample])
            shown = zip((synthetic, training, synthetic - training), shades, strict=True)
            for place, (image, shade) in enumerate(shown):
                show(sheet, image, left + place * (size + 0.05), sheets.top, size, height, **shade)
            row = samples[samples["sample"] == sample].iloc[0]
            words = f"Sample {sample} · {paragraphs.pair_words(row)}"
            write(sheets.page, left, sheets.top + height + 0.13, fit(words, width, 7), size=7)
            name = fit(numbers.plain(str(row["file"])), width, 6, keep="end")
            write(sheets.page, left, sheets.top + height + 0.25, name, size=6, color=QUIET)
        sheets.top += height + CAPTION


def _frames(pages: list[Figure], audit: str, edition: str) -> None:
    """Headers and footers of all pages."""
    for number, page in enumerate(pages, 1):
        write(page, MARGIN, 0.55, "copylens · audit of synthetic images", size=7, color=QUIET)
        stroke(page, MARGIN, 0.65, BODY, color=FAINT, linewidth=0.5)
        if edition == "restricted":
            style = {"size": 8, "weight": "bold", "color": TONES["fail"][0]}
            write(page, WIDTH - MARGIN, 0.55, paragraphs.RESTRICTED, ha="right", **style)
        else:
            write(page, WIDTH - MARGIN, 0.55, "Public edition", size=7, color=QUIET, ha="right")
        write(page, MARGIN, HEIGHT - 0.45, fit(audit, 4, 7), size=7, color=QUIET)
        write(page, WIDTH - MARGIN, HEIGHT - 0.45, f"{number} of {len(pages)}", size=7, color=QUIET, ha="right")
