"""Where an answer goes: the table to stdout, the Document to a file; with `--json -` the other way round."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.errors import UsageError


def check_json_target(target: str | None) -> None:
    """Refuse a `--json` that could not be written, before anything is measured.

    Raises:
        UsageError: its folder is not there, or cannot be written to.
    """
    if target in (None, "-"):
        return
    path = Path(str(target))
    if path.is_dir() or not path.absolute().parent.is_dir():
        problem = f"{target}: there is no such folder to write a file to"
        raise UsageError(problem, field="--json")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            return
    except OSError as error:
        problem = f"{target}: cannot write there: {error.strerror}"
        raise UsageError(problem, field="--json") from error


def write_answer(document: Document, json: str | None) -> None:
    """Print the table, and write the Document where `--json` says.

    A reader of stdout that has left, as `head -1` does, is no error: what was measured is stored.
    """
    from perfkit.report import console

    if json == "-":
        console.show(document, sys.stderr)
    try:
        if json == "-":
            sys.stdout.write(documents.dumps(document))
            sys.stdout.flush()
        else:
            console.show(document, sys.stdout)
    except BrokenPipeError:
        # or Python would complain when it flushes what is left, on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if json not in (None, "-"):
        documents.write(document, Path(str(json)))
