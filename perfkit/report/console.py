"""A Document as text for a terminal: a table where it fits, a record per row where it does not.

Nothing is cut off: what does not fit is wrapped. Colour repeats what a word already says.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from perfkit import units
from perfkit.document import Document, Row
from perfkit.report.columns import Column, columns, on_device, plain, speedup, tags
from perfkit.report.remarks import notes, remarks
from perfkit.report.sentences import meaning

WIDTH = 120
"""Columns of an output that is no terminal, unless `COLUMNS` says otherwise."""
LEAST_WIDTH = 40
MOST_TEXT_WIDTH = 110
"""Longer lines than this are tiring to read."""
_STYLES = {
    "faster": "green",
    "slower": "red",
    "same": "cyan",
    "inconclusive": "yellow",
    "reference": "dim",
}
_UNIT = re.compile(r"(?<=\d) (?=%|(?:h|min|s|ms|µs|ns|[KMGT]iB|B)\b)")
_FLAG = re.compile(r"(--[a-z-]+) (?=\w)")
_PLAINER = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "±": "+-", "µ": "u", "…": "...", "\u202f": " ", "·": "-"}
    | {"─": "-", "━": "-", "’": "'"}
)


def render(document: Document, *, width: int, color: bool) -> str:
    """Return the whole answer as text of at most `width` columns, ending in a newline."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width, LEAST_WIDTH),
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in _parts(document, console):
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().strip("\n").split("\n")) + "\n"


def show(document: Document, file: TextIO) -> None:
    """Write the answer to a stream, as wide as its terminal, in colour where that is welcome."""
    environ = os.environ
    text = render(document, width=width_of(file, environ), color=wants_color(file, environ))
    try:
        text.encode(file.encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(_PLAINER)
        text = text.encode(file.encoding, errors="backslashreplace").decode(file.encoding)
    file.write(text)
    file.flush()


def width_of(file: TextIO, environ: Mapping[str, str]) -> int:
    """Return the columns to fill: `COLUMNS`, else the terminal's, else a width that holds the table."""
    told = environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(file.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def wants_color(file: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to use colour: at a terminal that has it, unless `NO_COLOR` is set."""
    return file.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _parts(document: Document, console: Console) -> list[RenderableType]:
    remarked = [(remark.label, remark.text) for remark in remarks(document)]
    if not document.rows:
        return [_labelled(remarked, console.width)]
    shown = columns(document.rows)
    table = _fitting_table(shown, document.rows, console)
    answer = _wrapped(meaning(document), min(console.width, MOST_TEXT_WIDTH), style="bold")
    parts: list[RenderableType] = [
        table or _records(shown, document.rows, console.width),
        Text(),
        answer,
    ]
    noted = [(plain(row.key), text) for row in document.rows for text in notes(row)]
    for pairs in (noted if table else [], remarked):
        if pairs:
            parts += [Text(), _labelled(pairs, console.width)]
    return parts


def _fitting_table(shown: Sequence[Column], rows: Sequence[Row], console: Console) -> Table | None:
    """Return the widest of the table's shapes that fits without breaking a cell; None if none does."""
    unlimited = console.options.update(max_width=10_000)
    for heading_lines, cell_lines in ((2, 1), (3, 1), (3, 2)):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for column in shown:
            heading = _heading(column, rows, heading_lines)
            justify: Literal["left", "right"] = "right" if column.is_number else "left"
            table.add_column(heading, justify=justify, no_wrap=True)
        for number, row in enumerate(rows):
            table.add_row(*(_cell(column, number, row, cell_lines) for column in shown))
        if Measurement.get(console, unlimited, table).maximum <= console.width:
            return table
    return None


def _heading(column: Column, rows: Sequence[Row], lines: int) -> Text:
    below = {
        "Speed-up": "of the epoch, 95 %",
        "Peak memory": f"{column.unit}, {'device' if on_device(rows) else 'host'}",
    }.get(column.title, column.unit)
    if lines == 2:
        return Text(f"{column.title}\n{below}", style="bold")
    if column.title == "Speed-up":
        below = "the epoch's\n95 %"
    first, _, second = column.title.partition(" ")
    return Text("\n".join(line for line in (first, second, below) if line), style="bold")


def _cell(column: Column, number: int, row: Row, lines: int = 1) -> Text:
    text = column.cells[number]
    if column.title == "Speed-up":
        style = "" if row.speedup is None else _STYLES[row.speedup.outcome]
        return Text(speedup(row.speedup, lines=lines), style=style)
    if column.title == "Notes":
        text = text if lines == 1 else "\n".join(tags(row))
        return Text(text, style="" if row.status == "ok" else "red")
    return Text(text)


def _records(shown: Sequence[Column], rows: Sequence[Row], width: int) -> Group:
    """Every row as a paragraph; a row that failed shows the values that it has, and why it failed."""
    label_width = 2 + max(cell_len(column.title) for column in shown)
    paragraphs: list[RenderableType] = []
    for number, row in enumerate(rows):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, width=label_width)
        grid.add_column()
        for column in shown[1:-1]:
            if row.status == "ok" or column.cells[number] != units.MISSING:
                grid.add_row(f"  {column.title}", _with_unit(_cell(column, number, row), column))
        for text in notes(row):
            style = "" if row.status == "ok" else "red"
            grid.add_row("  Notes", _wrapped(text, width - label_width - 2, style=style))
        paragraphs += [Text()] if number else []
        paragraphs += [Text(plain(row.key), style="bold", overflow="fold"), grid]
    return Group(*paragraphs)


def _with_unit(cell: Text, column: Column) -> Text:
    return cell if cell.plain == units.MISSING or not column.unit else cell + f" {column.unit}"


def _labelled(pairs: Sequence[tuple[str, str]], width: int) -> RenderableType:
    """Texts beside their labels; below each other where the labels take too much of the width."""
    longest = max((cell_len(label) for label, _ in pairs), default=0)
    text_width = min(width, MOST_TEXT_WIDTH)
    if longest > width // 3:
        return Group(*(_wrapped(f"{label}: {text}", text_width) for label, text in pairs))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    before = None
    for label, text in pairs:
        # a label that goes on is not said again
        grid.add_row("" if label == before else label, _wrapped(text, text_width - longest - 2))
        before = label
    return grid


def _wrapped(text: str, width: int, style: str = "") -> Text:
    """Break lines at spaces, but not between a number and its unit or a flag and its value."""
    held = _FLAG.sub("\\1\u00a0", _UNIT.sub("\u00a0", text))
    lines = textwrap.wrap(held, max(width, 1), break_on_hyphens=False)
    return Text("\n".join(lines).replace("\u00a0", " "), style=style, overflow="fold")
