"""The page of the documentation that is made from the lists: every metric, and every code of a note."""

from __future__ import annotations

from dataclasses import fields

from perfkit.document import Row
from perfkit.members import MEMBERS, NAMED_BY_USER
from perfkit.metrics import METRICS, Metric
from perfkit.notes import NOTES
from perfkit.report.escaping import table

_COUNTED = {
    "duration": "seconds",
    "bytes": "bytes",
    "share": "part of a whole, 0–1",
    "ratio": "one ÷ the other",
    "rate": "per second",
    "count": "number",
    "text": "text",
}
_INTRODUCTION = """\
# Metrics and notes

What a row of a document holds. The console, Markdown, plots, `perfkit report -o rows.csv` and
`perfkit.read("latest").frame()` take their titles and columns from this list (`perfkit/metrics.py`).
Stored values are in SI base units."""
_OF_MEMBERS = """\
## Names in the columns of several

Where a column above has `NAME` in it there is one for each of these. In the document they are the
members of a mapping; what is not in this list is {named_by_user}."""
_OF_NOTES = """\
## Codes of notes and warnings

A code is stable, its text is not. A gate of `perfkit compare --fail-on` is its own code."""


def page() -> str:
    """Return the page as Markdown."""
    metrics = table(
        ["Title", "Columns", "Counted in", "Better", "What it is"],
        [False] * 5,
        [
            [one.title, _columns(one), _COUNTED[one.kind], one.better or "", f"{one.description}."]
            for one in METRICS.values()
        ],
    )
    members = table(
        ["Mapping", "Name", "Counted in", "What it is"],
        [False] * 4,
        [
            [f"`{mapping}`", f"`{name}`", _COUNTED[one.kind], f"{one.description}."]
            for mapping, known in MEMBERS.items()
            for name, one in known.items()
        ],
    )
    notes = table(
        ["Code", "What it means"],
        [False] * 2,
        [[f"`{code}`", meaning] for code, meaning in NOTES.items()],
    )
    of_members = _OF_MEMBERS.format(
        named_by_user="; ".join(f"{what} (`{name}`)" for name, what in NAMED_BY_USER.items())
    )
    return "\n\n".join([_INTRODUCTION, metrics, of_members, members, _OF_NOTES, notes]) + "\n"


def _columns(metric: Metric) -> str:
    """Its columns in CSV files and frames; of a mapping one for each member."""
    if metric.name not in {field.name for field in fields(Row)}:
        return "chosen from the next ones"
    named = [metric.member.format("NAME")] if metric.member else list(metric.heads())
    return ", ".join(f"`{name}`" for name in named or [metric.name])
