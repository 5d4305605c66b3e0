"""A4 pages that are filled from top to bottom with headings, paragraphs and tables."""

import numpy as np
from matplotlib.figure import Figure

from copylens.reporting.audit_report import content
from copylens.reporting.page import FAINT, INK, QUIET, blank_page, paragraph, stroke, write

TONES = {"pass": ("#17603C", "#E5F1EA"), "fail": ("#9C2B15", "#FAE7E1"), "unable": ("#6F4A00", "#FAF0D8")}

# All in inches.
WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 8.27, 11.69, 0.75, 0.95, 0.85
BODY = WIDTH - 2 * MARGIN
LINE, CELL = 0.165, 0.125


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
        self._row(head, lefts, widths, table, size, QUIET, QUIET, max(map(len, rows[0])))
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
            kind = {word: key for key, word in content.OUTCOMES.items()}.get(" ".join(lines))
            marked = table.columns[column] == "Outcome" and colour == INK and kind
            style = {"color": TONES[kind][0], "weight": "bold"} if marked else {"color": colour}
            for number, text in enumerate(lines):
                write(self.page, at, self.top + 0.09 + CELL * number, text, size=size, ha=side, **style)
        stroke(self.page, MARGIN, self.top + height + 0.03, BODY, color=line, linewidth=0.5)
        self.top += height + 0.08
