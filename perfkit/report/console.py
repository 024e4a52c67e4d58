"""A Document as text for a terminal: a table where it fits, a record per row where it does not.

Nothing is cut off: what does not fit is wrapped. Colour repeats what a word already says.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Literal, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfkit import units
from perfkit.comparison import Comparison
from perfkit.document import Document, Row
from perfkit.metrics import METRICS
from perfkit.report import comparison
from perfkit.report.columns import Column, columns, judged_by, plain, speedup_of, tags
from perfkit.report.diagnose import screen
from perfkit.report.remarks import notes, remarks
from perfkit.report.sentences import meaning
from perfkit.report.stored import StoredAnswer
from perfkit.report.terminal import (
    MOST_TEXT_WIDTH,
    STYLES,
    fits,
    labelled,
    open_table,
    text_of,
    wants_color,
    width_of,
    wrapped,
    write,
)


def render(document: Document, *, width: int, color: bool) -> str:
    """Return the whole answer as text of at most `width` columns, ending in a newline."""
    if isinstance(document, Comparison):
        return text_of(partial(comparison.parts, document), width=width, color=color)
    parts = _parts if document.diagnosis is None else screen.parts
    return text_of(partial(parts, document), width=width, color=color)


def show(document: Document, file: TextIO) -> None:
    """Write the answer to a stream, as wide as its terminal, in colour where that is welcome."""
    environ = os.environ
    width, color = width_of(file, environ), wants_color(file, environ)
    write(render(document, width=width, color=color), file)


def report(answers: Sequence[StoredAnswer]) -> str:
    """Return stored answers, as wide as the terminal of stdout, without colour."""
    width = width_of(sys.stdout, os.environ)
    return "\n".join(render(answer.document, width=width, color=False) for answer in answers)


def _parts(document: Document, console: Console) -> list[RenderableType]:
    remarked = [(remark.label, remark.text) for remark in remarks(document)]
    if not document.rows:
        return [labelled(remarked, console.width)]
    shown = columns(document.rows)
    table = _fitting_table(shown, document.rows, console)
    answer = wrapped(meaning(document), min(console.width, MOST_TEXT_WIDTH), style="bold")
    parts: list[RenderableType] = [
        table or _records(shown, document.rows, console.width),
        Text(),
        answer,
    ]
    noted = [(plain(row.key), text) for row in document.rows for text in notes(row)]
    for pairs in (noted if table else [], remarked):
        if pairs:
            parts += [Text(), labelled(pairs, console.width)]
    return parts


def _fitting_table(shown: Sequence[Column], rows: Sequence[Row], console: Console) -> Table | None:
    """Return the widest of the table's shapes that fits without breaking a cell; None if none does."""
    for heading_lines, cell_lines in ((2, 1), (3, 1), (3, 2)):
        table = open_table()
        for column in shown:
            heading = _heading(column, heading_lines)
            justify: Literal["left", "right"] = "right" if column.is_number else "left"
            table.add_column(heading, justify=justify, no_wrap=True)
        for number, row in enumerate(rows):
            table.add_row(*(_cell(column, number, row, cell_lines) for column in shown))
        if fits(table, console):
            return table
    return None


def _heading(column: Column, lines: int) -> Text:
    below = column.subtitle
    if lines == 2:
        return Text(f"{column.title}\n{below}", style="bold")
    if column.name == "speedup":
        below = "the epoch's\n95 %"
    first, _, second = column.title.partition(" ")
    return Text("\n".join(line for line in (first, second, below) if line), style="bold")


def _cell(column: Column, number: int, row: Row, lines: int = 1) -> Text:
    text = column.cells[number]
    if column.name == "speedup":
        by = judged_by(row)
        return Text(speedup_of(row, lines=lines), style="" if by is None else STYLES[by.outcome])
    if column.name == "notes":
        text = text if lines == 1 else "\n".join(tags(row))
        return Text(text, style="" if row.status == "ok" else "red")
    return Text(text)


def _records(shown: Sequence[Column], rows: Sequence[Row], width: int) -> Group:
    """Every row as a paragraph; a row that failed shows the values that it has, and why it failed."""
    numbers = [column for column in shown[1:] if column.name != "notes"]
    label_width = 2 + max(cell_len(column.title) for column in shown)
    paragraphs: list[RenderableType] = []
    for number, row in enumerate(rows):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, width=label_width)
        grid.add_column()
        for column in numbers:
            if row.status == "ok" or column.cells[number] != units.MISSING:
                grid.add_row(f"  {column.title}", _with_unit(_cell(column, number, row), column))
        for text in notes(row):
            style = "" if row.status == "ok" else "red"
            grid.add_row(
                f"  {METRICS['notes'].title}", wrapped(text, width - label_width - 2, style=style)
            )
        paragraphs += [Text()] if number else []
        paragraphs += [Text(plain(row.key), style="bold", overflow="fold"), grid]
    return Group(*paragraphs)


def _with_unit(cell: Text, column: Column) -> Text:
    return cell if cell.plain == units.MISSING or not column.unit else cell + f" {column.unit}"
