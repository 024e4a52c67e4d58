"""Text for a terminal: how wide, in what colour, and how lines are broken.

Nothing is cut off: what does not fit is wrapped. Colour repeats what a word already says.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDTH = 120
"""Columns of an output that is no terminal, unless `COLUMNS` says otherwise."""
LEAST_WIDTH = 40
MOST_TEXT_WIDTH = 110
"""Longer lines than this are tiring to read."""
STYLES = {
    "faster": "green",
    "slower": "red",
    "same": "cyan",
    "inconclusive": "yellow",
    "reference": "dim",
}
_UNIT = re.compile(r"(?<=\d) (?=±)|(?<=±) (?=\d)|(?<=\d) (?=%|(?:h|min|s|ms|µs|ns|[KMGT]iB|B)\b)")
_FLAG = re.compile(r"(--[a-z-]+) (?=\w)")
_PLAINER = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "±": "+-", "µ": "u", "…": "...", "\u202f": " ", "·": "-"}
    | {"─": "-", "━": "-", "’": "'", "÷": "/", "→": "->", "−": "-", "“": '"', "”": '"'}
    | {"├": "|", "│": "|", "└": "`", "█": "#", "▌": ":", "◄": "<", "•": "*"}
)


def text_of(
    parts: Callable[[Console], Sequence[RenderableType]], *, width: int, color: bool
) -> str:
    """Return what `parts` gives for a console as text of at most `width` columns, ending in a newline."""
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
    for part in parts(console):
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().strip("\n").split("\n")) + "\n"


def write(text: str, file: TextIO) -> None:
    """Write to a stream; what its encoding lacks is said more plainly."""
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


def open_table() -> Table:
    """Return a table with a line below its heading and no frame, for cells that are not broken."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def fits(table: Table, console: Console) -> bool:
    """Whether a table has room without breaking a cell."""
    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def labelled(pairs: Sequence[tuple[str, str]], width: int) -> RenderableType:
    """Texts beside their labels; below each other where the labels take too much of the width."""
    longest = max((cell_len(label) for label, _ in pairs), default=0)
    text_width = min(width, MOST_TEXT_WIDTH)
    if longest > width // 3:
        return Group(*(wrapped(f"{label}: {text}", text_width) for label, text in pairs))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    before = None
    for label, text in pairs:
        # a label that goes on is not said again
        grid.add_row("" if label == before else label, wrapped(text, text_width - longest - 2))
        before = label
    return grid


def wrapped(text: str, width: int, style: str = "") -> Text:
    """Break lines at spaces, but not between a number and its unit or a flag and its value."""
    held = _FLAG.sub("\\1\u00a0", _UNIT.sub("\u00a0", text))
    lines = textwrap.wrap(held, max(width, 1), break_on_hyphens=False)
    return Text("\n".join(lines).replace("\u00a0", " "), style=style, overflow="fold")
