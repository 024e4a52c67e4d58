"""Somebody else's text inside Markdown and its tables: names, paths and messages stay text, on one line.

Made for CommonMark with GitHub's tables. Nothing here begins a line: whoever writes a line puts a word
of its own first, so that a name cannot become a heading or a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from rich.cells import cell_len

from perfkit.report.columns import plain

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_SPECIAL = re.compile(
    r"(?P<interval>\[-?[\d.]+–-?[\d.]+\](?![\[(]))"
    r"|(?P<sign>[\\`*~$\[\]]|(?<![^\W_])_|_(?![^\W_]))"
    r"|(?P<entity>[&<>|])"
    r"|(?P<mention>@(?=\w))"
)
_NOT_IN_A_SPAN = re.compile(r"[`|\\]")


def text(said: str) -> str:
    """Return text that Markdown shows as it is, in a table's cell or outside.

    An interval such as `[1.29–1.40]` is no link and keeps its brackets; `@name` calls nobody.
    """
    return _SPECIAL.sub(_escaped, plain(said))


def code(name: str) -> str:
    """Return a name or a path in a code span, where neither markup, mentions nor emoji are seen.

    What a span inside a table cannot hold (a pipe, a backtick, a backslash) becomes `<code>` with entities.
    """
    shown = plain(name)
    if not shown:
        return ""
    if not _NOT_IN_A_SPAN.search(shown):
        return f"`{shown}`"
    safe = (c if c.isalnum() or not c.isascii() or c in " /" else f"&#{ord(c)};" for c in shown)
    return f"<code>{''.join(safe)}</code>"


def block(command: str, language: str) -> str:
    """Return a fenced block, the fence longer than any run of backticks inside.

    Only what a terminal would act upon is taken out; line breaks inside quotes belong to a command.
    """
    inside = "".join(c if c.isprintable() or c == "\n" else " " for c in command).strip("\n")
    longest = max(map(len, re.findall("`+", inside)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{inside}\n{fence}"


def link(file_name: str) -> str:
    """Return a file name as the target of a link."""
    return quote(file_name)


def table(titles: Sequence[str], is_number: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already, aligned for who reads it as text."""
    cells = [list(titles), *map(list, rows)]
    widths = [max(3, *(cell_len(row[i]) for row in cells)) for i in range(len(titles))]
    rule = [
        "-" * (w - 1) + ":" if number else "-" * w
        for w, number in zip(widths, is_number, strict=True)
    ]
    lines = []
    for row in [cells[0], rule, *cells[1:]]:
        padded = []
        for cell, width, number in zip(row, widths, is_number, strict=True):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if number else cell + space)
        lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines)


def _escaped(found: re.Match[str]) -> str:
    said = found[0]
    if found["sign"]:
        return f"\\{said}"
    if found["entity"]:
        return _ENTITIES[said]
    return "@<!-- -->" if found["mention"] else said
