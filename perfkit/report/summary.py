"""A Document in a few lines of Markdown, for the page of a CI job."""

from __future__ import annotations

from collections.abc import Sequence

from perfkit.document import Document
from perfkit.report import markdown
from perfkit.report.diagnose import gains, page
from perfkit.report.escaping import code, text
from perfkit.report.remarks import notes, remarks
from perfkit.report.stored import StoredAnswer

_REMEDIES = 3
"""What a page is short for."""


def report(answers: Sequence[StoredAnswer]) -> str:
    """Return, of each one, the answer, the table, why rows failed or what they lost, and the warnings.

    Of a diagnosis the table is that of the remedies worth most.
    """
    return "\n".join(_section(answer, len(answers) > 1) for answer in answers)


def _section(stored: StoredAnswer, named: bool) -> str:
    document = stored.document
    failed = [(code(row.key), text(notes(row)[0])) for row in document.rows if row.status != "ok"]
    lost = [
        (code(row.key), text(note.text))
        for row in document.rows
        for note in row.notes
        if note.code == "part_lost"
    ]
    told = markdown.bullets([*failed, *lost, *markdown.warnings(remarks(document))])
    parts = [
        markdown.heading(stored, named=named),
        markdown.answer(document),
        *(
            [markdown.main_table(document.rows), told]
            if document.diagnosis is None
            else _diagnosed(document, told)
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _diagnosed(document: Document, told: str) -> list[str]:
    """Verdict, why and next, and the gains of the first remedies that leave the training as it is."""
    assert document.diagnosis is not None
    kept, _ = gains.ordered(document.diagnosis.remedies)
    box = "\n".join(filter(None, [page.box(document), told]))
    return [box, *([page.gains_table(document, kept[:_REMEDIES])] if kept else [])]
