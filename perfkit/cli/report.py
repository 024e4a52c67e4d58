"""`perfkit report`: stored runs as Markdown with plots, as CSV, or as a summary for a CI job's page."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.errors import EXIT_OK, PerfkitError, UsageError

if TYPE_CHECKING:
    from perfkit.report.formats import Format
    from perfkit.report.stored import StoredAnswer


def report(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="A study folder, a file that --json wrote, or latest (the default).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; its name tells the format. Plots go beside it.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="markdown|csv|summary|console",
            help="summary is short, and added to FILE: for a CI job's page; console is what the command"
            " itself printed.",
        ),
    ] = None,
) -> int:
    """Make a report of stored runs: the answer, the table, plots, the machine, how it was measured.

    Without -o it goes to stdout, without plots. `perfkit report latest -o report.md` is the usual one.
    """
    from perfkit.cli import stored

    target = None if output in (None, "-") else Path(str(output))
    chosen = _format(format, target)
    if target is not None:
        _check(target, chosen)
    found = [stored.find(name) for name in run or ["latest"]]
    if target is None:
        _print(chosen.render(found))
    elif chosen.appends:
        _append(target, chosen.render(found))
    elif chosen.has_plots:
        _write_with_plots(target, found)
    else:
        _write(target, chosen.render(found).encode())
    return EXIT_OK


def _format(name: str | None, target: Path | None) -> Format:
    from perfkit.report.formats import FORMATS

    names = [one.name for one in FORMATS]
    if name is not None and name not in names:
        raise UsageError(
            f"{name}: there is no such format",
            field="--format",
            hint=f"one of {', '.join(names)}",
        )
    suffix = "" if target is None else target.suffix.lower()
    for one in FORMATS:
        if name == one.name or (name is None and suffix in one.suffixes):
            return one
    raise UsageError(
        f"{target}: no format of a report has names that end in {suffix}",
        field="-o",
        hint=f"name a file that ends in .md or .csv, or say --format {'|'.join(names)}",
    )


def _check(target: Path, chosen: Format) -> None:
    parent = target.absolute().parent
    if target.is_dir() or not parent.is_dir():
        raise UsageError(
            f"{target}: {'it is a folder' if target.is_dir() else 'there is no such folder'}",
            field="-o",
            hint="name a file in a folder that is there, for example report.md",
        )
    # a file that is replaced needs a folder to write to
    place = target if chosen.appends and target.exists() else parent
    if not os.access(place, os.W_OK):
        raise UsageError(
            f"{target}: you may not write to {place}",
            field="-o",
            hint="name a file in another folder",
        )


def _write_with_plots(target: Path, found: Sequence[StoredAnswer]) -> None:
    from perfkit.report import markdown, plots

    prefixes = [
        f"{target.stem}-" if len(found) == 1 else f"{target.stem}-{number}-"
        for number in range(1, len(found) + 1)
    ]
    pictures = [plots.draw(answer, prefix) for answer, prefix in zip(found, prefixes, strict=True)]
    # the plots first: whoever sees the text finds them
    for picture in (one for each in pictures for one in each.drawn):
        _write(target.parent / picture.file_name, picture.png)
    _write(target, markdown.report(found, pictures).encode())


def _write(path: Path, content: bytes) -> None:
    from perfkit.files import write_bytes

    write_bytes(path, content)
    sys.stderr.write(f"wrote {path}\n")


def _append(path: Path, text: str) -> None:
    """Add text below what a file holds, in one write."""
    try:
        begun = path.exists() and path.stat().st_size > 0
        with path.open("ab") as file:
            file.write((f"\n{text}" if begun else text).encode())
    except OSError as error:
        raise PerfkitError(f"cannot write {path}: {error.strerror or error}") from error
    sys.stderr.write(f"added to {path}\n")


def _print(text: str) -> None:
    """Write to stdout; a reader that has left, as `head` does, is no error."""
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            # Markdown and CSV are UTF-8, whatever the terminal's encoding
            sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    except BrokenPipeError:
        # or Python would complain when it flushes what is left, on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
