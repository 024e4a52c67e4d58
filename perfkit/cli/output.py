"""Where an answer goes: the table to stdout, the Document to a file; with `--json -` the other way round."""

from __future__ import annotations

import sys
from pathlib import Path

from perfkit import document as documents
from perfkit.document import Document
from perfkit.errors import UsageError


def check_json_target(target: str | None) -> None:
    """Refuse a `--json` that could not be written, before anything is measured.

    Raises:
        UsageError: its folder is not there.
    """
    if target in (None, "-"):
        return
    path = Path(str(target))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"--json {target}: there is no such folder to write a file to")


def give(document: Document, json: str | None) -> None:
    """Print the table, and write the Document where `--json` says."""
    from perfkit.report import console

    if json == "-":
        console.show(document, sys.stderr)
        sys.stdout.write(documents.dumps(document))
        sys.stdout.flush()
        return
    console.show(document, sys.stdout)
    if json is not None:
        documents.write(document, Path(json))
