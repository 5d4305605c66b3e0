"""report.pdf: the report in short, on A4 to be printed, signed and filed."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from copylens.figures import (
    FAINT,
    INK,
    QUIET,
    blank_page,
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
from copylens.figures.copy_pairs import DIFFERENCE
from copylens.reports import content, figures

TONES = {"pass": ("#17603C", "#E5F1EA"), "fail": ("#9C2B15", "#FAE7E1"), "unable": ("#6F4A00", "#FAF0D8")}
MAX_ROWS = 100

# All in inches.
WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 8.27, 11.69, 0.75, 0.95, 0.85
BODY = WIDTH - 2 * MARGIN
LINE, CELL, BANNER, SIGN = 0.165, 0.125, 1.15, 0.36
GAP = 0.25


@house_style()
def write_pdf(
    verdict: dict, samples: pd.DataFrame, scores: dict, pairs: dict, n_pairs: int, edition: str, path: Path
) -> None:
    """Write the PDF of a report.

    pairs: those to show, by sample; n_pairs: how many flagged samples have one. For the rest see `write_report`.
    """
    sheets = Sheets()
    _first_page(sheets, verdict)
    _figures(sheets, verdict, scores)
    sheets.heading("Planted copies")
    sheets.table(content.sensitivity_table(verdict))
    sheets.heading("Who is exposed")
    sheets.table(content.groups_table(verdict))
    for title, lines in (
        ("Quarantine", content.quarantine_words(verdict)),
        ("Membership", content.membership_words(verdict)),
    ):
        sheets.heading(title)
        sheets.text(*lines)
    _samples(sheets, verdict, samples)
    if edition == "restricted":
        _pairs(sheets, verdict, samples, pairs, n_pairs)
    sheets.heading("What this audit cannot say")
    sheets.text(*(f"•  {limit}" for limit in verdict["limits"]))
    sheets.heading("Provenance")
    sheets.table(content.provenance_table(verdict))
    _frames(sheets.pages, verdict["audit"], edition)
    save(sheets.pages, path, f"{verdict['verdict']}: audit {verdict['audit']}, {edition} edition")


class Sheets:
    """Pages that are filled from top to bottom; `top` is where the last one goes on, in inches."""

    def __init__(self) -> None:
        self.pages, self.top = [], HEIGHT

    @property
    def page(self) -> Figure:
        return self.pages[-1]

    def need(self, height: float) -> None:
        """Begin a new page where the last one hasn't so much room."""
        if self.top + height > HEIGHT - BOTTOM:
            self.pages.append(blank_page(WIDTH, HEIGHT))
            self.top = TOP

    def heading(self, text: str, below: float = 0.8) -> None:
        """A heading that has `below` inches of what it heads on the same page."""
        self.need(0.5 + below)
        self.top += 0.3 if self.top > TOP else 0.1
        write(self.page, MARGIN, self.top, text, size=11, weight="bold")
        self.top += 0.2

    def text(self, *paragraphs: str, size: float = 8.5) -> None:
        for words in paragraphs:
            for line in paragraph(words, BODY, size):
                self.need(LINE)
                write(self.page, MARGIN, self.top, line, size=size)
                self.top += LINE
            self.top += 0.04

    def table(self, table: content.Table, size: float = 7) -> None:
        """A table whose cells break into lines; its head comes again on every page."""
        self.text(table.caption, size=7.5)
        widths = [BODY * width for width in table.widths]
        lefts = np.cumsum([MARGIN, *widths[:-1]])
        head = [paragraph(name, width - 0.1, size) for name, width in zip(table.columns, widths, strict=True)]
        rows = [
            [paragraph(cell, width - 0.1, size) for cell, width in zip(row, widths, strict=True)]
            for row in table.rows or [("None.", *[""] * (len(widths) - 1))]
        ]
        self._row(head, lefts, widths, table, size, QUIET, QUIET, len(rows[0][0]))
        for row in rows:
            pages = len(self.pages)
            self.need(CELL * max(map(len, row)) + 0.1)
            if len(self.pages) > pages:
                self._row(head, lefts, widths, table, size, QUIET, QUIET)
            self._row(row, lefts, widths, table, size, INK, FAINT)

    def _row(self, cells, lefts, widths, table: content.Table, size, colour, line, spare: int = 0) -> None:
        height = CELL * max(map(len, cells))
        self.need(height + CELL * spare)
        for column, (lines, left, width) in enumerate(zip(cells, lefts, widths, strict=True)):
            right = column in table.numbers
            at, side = (left + width - 0.1, "right") if right else (left, "left")
            kind = {word: key for key, word in content.OUTCOMES.items()}.get(lines[0])
            marked = table.columns[column] == "Outcome" and colour == INK and kind
            style = {"color": TONES[kind][0], "weight": "bold"} if marked else {"color": colour}
            for number, text in enumerate(lines):
                write(self.page, at, self.top + 0.09 + CELL * number, text, size=size, ha=side, **style)
        stroke(self.page, MARGIN, self.top + height + 0.03, BODY, color=line, linewidth=0.5)
        self.top += height + 0.08


def _first_page(sheets: Sheets, verdict: dict) -> None:
    sheets.need(1)
    write(sheets.page, MARGIN, sheets.top, verdict["audit"], size=8, color=QUIET)
    write(sheets.page, MARGIN, sheets.top + 0.3, "Can this synthetic data set be released?", size=15, weight="bold")
    sheets.top += 0.5
    _banner(sheets.page, sheets.top, verdict["verdict"])
    sheets.top += BANNER
    if verdict["reasons"]:
        sheets.heading("Why")
        sheets.text(*(f"•  {reason}" for reason in verdict["reasons"]))
    if verdict["needed"]:
        sheets.heading("What would be needed")
        sheets.text(*(f"•  {need}" for need in verdict["needed"]))
    sheets.heading("The policy, line by line")
    sheets.table(content.lines_table(verdict), 6.5)
    sheets.need(4 * SIGN + 0.5)
    sheets.top = max(sheets.top, HEIGHT - BOTTOM - 2 * SIGN - 0.25)
    sheets.text("I have read this report and decide on the release by it.")
    half = BODY / 2
    for number, name in enumerate(("Name", "Role", "Date", "Signature")):
        left = MARGIN + half * (number % 2)
        top = sheets.top + SIGN * (1 + number // 2) - 0.12
        write(sheets.page, left, top, name, size=7.5, color=QUIET)
        stroke(sheets.page, left + 0.6, top + 0.02, half - 0.8, color=QUIET, linewidth=0.5)
    sheets.top += 2 * SIGN


def _banner(page: Figure, top: float, word: str) -> None:
    """The verdict in its colour, with a sign whose shape says the same."""
    kind, sentence = content.VERDICTS[word]
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
    write(page, x + 0.65, y + 0.08, word, size=26, weight="bold", color=tone)
    write(page, x + 0.66, y + 0.34, fit(sentence, BODY - 1.5, 8.5), size=8.5)


def _figures(sheets: Sheets, verdict: dict, scores: dict) -> None:
    sheets.heading("What was compared")
    sheets.text(verdict["rule"]["text"])
    sheets.table(content.counts_table(verdict))
    sheets.heading("Detectors")
    sheets.table(content.detectors_table(verdict), 6.5)
    half = (BODY - GAP) / 2
    taus = {row["detector"]: row.get("tau") for row in verdict["detectors"]}
    detectors = verdict["rule"]["detectors"]
    sheets.heading("Similarities", figures.HISTOGRAM)
    for start in range(0, len(detectors), 2):
        sheets.need(figures.HISTOGRAM + 0.2)
        for column, name in enumerate(detectors[start : start + 2]):
            left = MARGIN + column * (half + GAP)
            figures.histogram(sheets.page, left, sheets.top, half, name, scores.get(name, {}), taus.get(name))
        sheets.top += figures.HISTOGRAM + 0.2
    height = max(figures.EXPOSURE, figures.sensitivity_height(verdict))
    sheets.heading("Planted copies, and patients exposed", height + 0.6)
    figures.sensitivity(sheets.page, MARGIN, sheets.top, half, verdict)
    figures.exposure(sheets.page, MARGIN + half + GAP, sheets.top, half, verdict)
    sheets.top += height + 0.15
    sheets.text(content.exposure_words(verdict))


def _samples(sheets: Sheets, verdict: dict, samples: pd.DataFrame) -> None:
    """The first flagged samples."""
    detectors = verdict["rule"]["detectors"]
    chosen = samples[content.flagged(samples)]
    columns, rows = content.sample_columns(chosen.head(MAX_ROWS), detectors)
    sheets.heading("Flagged samples")
    more = f" The first {MAX_ROWS} are listed; the page report.html has all." if len(chosen) > MAX_ROWS else ""
    caption = f"{content.number(len(chosen))} of {content.number(len(samples))} samples are flagged.{more}"
    kept = [place for place, column in enumerate(columns) if column["name"] != "Copy"]
    names = [f"{columns[place]['group']} {columns[place]['name'].lower()}".strip() for place in kept]
    cells = [[_cell(row[place]) for place in kept] for row in rows]
    widths = [
        max(text_width(text, 6) for text in (*names[place].split(" "), *texts)) + 0.12
        for place, texts in enumerate(zip(*cells, strict=True))
    ] or [1.0] * len(kept)
    numbers = tuple(place for place, at in enumerate(kept) if columns[at]["number"])
    shares = tuple(width / sum(widths) for width in widths)
    sheets.table(content.Table(caption, tuple(names), list(map(tuple, cells)), numbers, shares), 6)


def _cell(value: float | str | None) -> str:
    if value is None:
        return content.UNKNOWN
    return fit(value, 1.3, 6, keep="end") if isinstance(value, str) else content.number(value)


def _pairs(sheets: Sheets, verdict: dict, samples: pd.DataFrame, pairs: dict, n_pairs: int) -> None:
    """Pages of pairs: synthetic image, nearest training image, difference."""
    sheets.top = HEIGHT
    sheets.heading("Flagged pairs")
    limit = figures.difference_limit(pairs)
    more = f"{len(pairs)} are shown; there are {content.number(n_pairs - len(pairs))} more. " * (n_pairs > len(pairs))
    note = (
        "Synthetic image, nearest training image, and difference: orange where the synthetic image is brighter, at its "
        f"strongest from {content.number(limit)} of the scale on."
    )
    sheets.text(f"{more}{note}" if pairs else "There are none.")
    detector = verdict["rule"]["detectors"][0]
    of_sample = samples.set_index("sample")
    column, sheet, sheet_of = 0, None, None
    for sample, images in pairs.items():
        synthetic, training = map(figures.flat, images)
        n_columns = 1 if images[0].ndim == 3 else 2
        width = (BODY - (n_columns - 1) * GAP) / n_columns
        size = (width - 0.1) / 3
        height = min(size * synthetic.shape[0] / synthetic.shape[1], 3.0)
        size = height * synthetic.shape[1] / synthetic.shape[0]
        if column == 0:
            sheets.need(height + 0.45)
        if sheet_of is not sheets.page:
            sheet, sheet_of = paper(sheets.page), sheets.page
        left = MARGIN + column * (width + GAP)
        shades = [{"cmap": "gray", "vmin": 0, "vmax": 1}] * 2 + [{"cmap": DIFFERENCE, "vmin": -limit, "vmax": limit}]
        for place, (image, shade) in enumerate(zip((synthetic, training, synthetic - training), shades, strict=True)):
            show(sheet, image, left + place * (size + 0.05), sheets.top, size, height, **shade)
        row = of_sample.loc[sample]
        words = f"{content.number(row[f'similarity_{detector}'])} · patient {content.plain(str(row[f'patient_{detector}']))}"
        write(sheets.page, left, sheets.top + height + 0.13, f"sample {sample}", size=7, weight="bold")
        indent = text_width(f"sample {sample}", 7, "bold") + 0.08
        write(sheets.page, left + indent, sheets.top + height + 0.13, fit(words, width - indent, 7), size=7)
        name = fit(content.plain(str(row["file"])), width, 6, keep="end")
        write(sheets.page, left, sheets.top + height + 0.25, name, size=6, color=QUIET)
        column = (column + 1) % n_columns
        if column == 0:
            sheets.top += height + 0.42
    sheets.top += (height + 0.42) * (column > 0) if pairs else 0


def _frames(pages: list[Figure], audit: str, edition: str) -> None:
    """What stands above and below every page."""
    for number, page in enumerate(pages, 1):
        write(page, MARGIN, 0.55, "copylens · audit of synthetic images", size=7, color=QUIET)
        stroke(page, MARGIN, 0.65, BODY, color=FAINT, linewidth=0.5)
        if edition == "restricted":
            write(page, WIDTH - MARGIN, 0.55, content.RESTRICTED, size=8, weight="bold", color=TONES["fail"][0], ha="right")
        else:
            write(page, WIDTH - MARGIN, 0.55, "Public edition", size=7, color=QUIET, ha="right")
        write(page, MARGIN, HEIGHT - 0.45, fit(audit, 4, 7), size=7, color=QUIET)
        write(page, WIDTH - MARGIN, HEIGHT - 0.45, f"{number} of {len(pages)}", size=7, color=QUIET, ha="right")
