"""A4 pages that are filled from top to bottom with headings, paragraphs and tables."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from copylens.reporting.audit_report import tables
from copylens.reporting.page import FAINT, INK, QUIET, blank_page, paragraph, stroke, write

OUTCOMES = {word: outcome for outcome, word in tables.OUTCOMES.items()}
TONES = {"pass": ("#17603C", "#E5F1EA"), "fail": ("#9C2B15", "#FAE7E1"), "unable": ("#6F4A00", "#FAF0D8")}

# All in inches.
WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 8.27, 11.69, 0.75, 0.95, 0.75
BODY = WIDTH - 2 * MARGIN
LINE, CELL = 0.165, 0.125


class Sheets:
    """Pages that are filled from top to bottom; `top` is where the last one goes on, in inches."""

    def __init__(self) -> None:
        self.pages: list[Figure] = []
        self.top = HEIGHT

    @property
    def page(self) -> Figure:
        return self.pages[-1]

    def need(self, height: float) -> None:
        """Begin a new page if the last one has less room than `height`."""
        if self.top + height > HEIGHT - BOTTOM:
            self.pages.append(blank_page(WIDTH, HEIGHT))
            self.top = TOP

    def heading(self, text: str, below: float = 0.8) -> None:
        """A heading, with at least `below` inches left for its section on the same page."""
        self.need(0.5 + below)
        self.top += 0.2 if self.top > TOP else 0.1
        write(self.page, MARGIN, self.top, text, size=11, weight="bold")
        self.top += 0.2

    def text(self, *paragraphs: str, size: float = 8.5) -> None:
        for words in paragraphs:
            for line in paragraph(words, BODY, size):
                self.need(LINE)
                write(self.page, MARGIN, self.top, line, size=size)
                self.top += LINE
            self.top += 0.04

    def table(self, table: tables.Table, size: float = 7) -> None:
        """A table whose cells break into lines; its head comes again on every page."""
        self.text(table.caption, size=7.5)
        widths = [BODY * width for width in table.widths]
        columns = _Columns(
            lefts=np.cumsum([MARGIN, *widths[:-1]]).tolist(),
            widths=widths,
            right=table.numbers,
            outcome=table.columns.index("Outcome") if "Outcome" in table.columns else None,
            size=size,
        )
        head = [paragraph(name, width - 0.1, size) for name, width in zip(table.columns, widths, strict=True)]
        rows = [
            [paragraph(cell, width - 0.1, size) for cell, width in zip(row, widths, strict=True)]
            for row in table.rows or [("None.", *[""] * (len(widths) - 1))]
        ]
        # The head isn't left alone at the end of a page.
        self.need(CELL * (max(map(len, head)) + max(map(len, rows[0]))))
        self._row(head, columns, is_head=True)
        for row in rows:
            pages = len(self.pages)
            self.need(CELL * max(map(len, row)) + 0.1)
            if len(self.pages) > pages:
                self._row(head, columns, is_head=True)
            self._row(row, columns)
        self.top += 0.16

    def _row(self, cells: list[list[str]], columns: "_Columns", is_head: bool = False) -> None:
        """Cells of lines, with a stroke below them."""
        height = CELL * max(map(len, cells))
        self.need(height)
        for column, (lines, left, width) in enumerate(zip(cells, columns.lefts, columns.widths, strict=True)):
            at, side = (left + width - 0.1, "right") if column in columns.right else (left, "left")
            style = {"color": QUIET if is_head else INK}
            outcome = OUTCOMES.get(" ".join(lines)) if column == columns.outcome and not is_head else None
            if outcome:
                style = {"color": TONES[outcome][0], "weight": "bold"}
            for number, text in enumerate(lines):
                write(self.page, at, self.top + 0.09 + CELL * number, text, size=columns.size, ha=side, **style)
        stroke(self.page, MARGIN, self.top + height + 0.03, BODY, color=QUIET if is_head else FAINT, linewidth=0.5)
        self.top += height + 0.08


@dataclass(frozen=True)
class _Columns:
    """Where a table's columns stand, in inches."""

    lefts: list[float]
    widths: list[float]
    right: tuple[int, ...]  # columns that are aligned on the right
    outcome: int | None  # the column of outcomes
    size: float  # of the text, in points
