"""Rows as CSV: the flat table of `flat.py`, and nothing in it that a spreadsheet would compute."""

from __future__ import annotations

from collections.abc import Sequence

from perfkit.report import flat
from perfkit.report.stored import StoredAnswer


def report(answers: Sequence[StoredAnswer]) -> str:
    """Return the table as CSV.

    A text that begins with `=`, `+`, `-` or `@`, which a spreadsheet would compute, gets an apostrophe
    before it.
    """
    import pandas as pd

    names, lines = flat.table([(answer.name, answer.document) for answer in answers])
    cells = [[_not_computed(cell) for cell in line] for line in lines]
    found = pd.DataFrame(cells, columns=pd.Index(names), dtype=object)
    return str(found.to_csv(index=False, lineterminator="\n"))


def _not_computed(cell: flat.Cell) -> flat.Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
