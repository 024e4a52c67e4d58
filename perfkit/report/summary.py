"""A Document in a few lines of Markdown, for the page of a CI job."""

from __future__ import annotations

from collections.abc import Sequence

from perfkit.report import markdown
from perfkit.report.escaping import code, text
from perfkit.report.remarks import notes, remarks
from perfkit.report.runs import Run


def report(runs: Sequence[Run]) -> str:
    """Return, of each run, the answer, the table, why rows failed or what they lost, and the warnings."""
    return "\n".join(_section(run, len(runs) > 1) for run in runs)


def _section(run: Run, named: bool) -> str:
    document = run.document
    failed = [(code(row.key), text(notes(row)[0])) for row in document.rows if row.status != "ok"]
    lost = [
        (code(row.key), text(note.text))
        for row in document.rows
        for note in row.notes
        if note.code == "part_lost"
    ]
    parts = [
        markdown.heading(run, named=named),
        markdown.answer(document),
        markdown.main_table(document.rows),
        markdown.bullets([*failed, *lost, *markdown.warnings(remarks(document))]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
