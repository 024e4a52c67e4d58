"""A Document as Markdown for a pull request: the answer, the table, and everything a doubter asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from perfkit.document import Document, Row
from perfkit.report import spent
from perfkit.report.columns import columns
from perfkit.report.diagnose import page
from perfkit.report.escaping import block, code, link, table, text
from perfkit.report.remarks import Remark, notes, remarks
from perfkit.report.sentences import meaning
from perfkit.report.stored import Pictures, StoredAnswer

_ELSEWHERE = ("Epoch", "Step", "Warning", "Not available", "Try next")
"""Remarks that have a section or a table of their own; the others tell how it was measured."""
_SOFTWARE = ("os", "driver", "torch_cuda", "torch_hip", "cudnn", "device_capability", "bf16_native")
"""Of the environment, what the machine's own line leaves out."""


def report(answers: Sequence[StoredAnswer], pictures: Sequence[Pictures] = ()) -> str:
    """Return one section per answer.

    Args:
        pictures: of each answer, in the answers' order; none where the Markdown stands alone.
    """
    sections = zip_longest(answers, pictures, fillvalue=Pictures())
    return "\n".join(_section(answer, drawn, len(answers) > 1) for answer, drawn in sections)  # type: ignore[arg-type]


def heading(stored: StoredAnswer, *, named: bool) -> str:
    """Return the heading of an answer, with its name where there are several."""
    title = f"## perfkit {text(stored.document.kind)}"
    return f"{title}: {code(stored.name)}" if named else title


def answer(document: Document) -> str:
    """Return the answer in its sentences, in bold: it is all that many read."""
    return f"**{text(meaning(document))}**"


def main_table(rows: Sequence[Row]) -> str:
    """Return the table that the console shows."""
    shown = columns(rows)
    titles = [column.heading for column in shown]
    keys, others = shown[0].cells, [[text(cell) for cell in c.cells] for c in shown[1:]]
    cells = zip([code(key) for key in keys], *others, strict=True)
    return table(titles, [column.is_number for column in shown], cells)


def bullets(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of labels and what they say; both are Markdown already."""
    return "\n".join(f"- {label}: {said}" for label, said in pairs)


def warnings(found: Sequence[Remark]) -> list[tuple[str, str]]:
    """Return the warnings among remarks, as labels and texts."""
    return [(f"**{one.label}**", text(one.text)) for one in found if one.label == "Warning"]


def _section(stored: StoredAnswer, pictures: Pictures, named: bool) -> str:
    document = stored.document
    found = remarks(document)
    noted = [(code(row.key), text(said)) for row in document.rows for said in notes(row)]
    tried = [one.text for one in found if one.label == "Try next"]
    rows = main_table(document.rows)
    if document.diagnosis is None:
        told, measured = [rows, bullets([*noted, *warnings(found)]), *_plots(pictures)], []
    else:
        # one list: two of them, one below the other, would be drawn as one with gaps
        box = "\n".join(filter(None, [page.box(document), bullets([*noted, *warnings(found)])]))
        told, measured = [box, *page.sections(document, _plots(pictures))], [rows]
    parts = [
        heading(stored, named=named),
        answer(document),
        *told,
        *spent.sections(document, "Where the time goes" if not measured else "Parts and phases"),
        *(["### What to try", "\n".join(f"- {text(said)}" for said in tried)] if tried else []),
        "### How it was measured",
        *measured,
        bullets([*_measured(document, found), *_missing(found, pictures)]),
        "### Make it again",
        block(document.command, "sh"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plots(pictures: Pictures) -> list[str]:
    if not pictures.drawn:
        return []
    shown = [
        f"![{text(one.title)}]({link(one.file_name)})\n\n{text(one.title)}: {text(one.caption)}"
        for one in pictures.drawn
    ]
    return ["### Plots", *shown]


def _measured(document: Document, found: Sequence[Remark]) -> list[tuple[str, str]]:
    environment = document.environment
    settings = [
        f"{code(name)} {text(_value(value))}"
        for name, value in document.base.items()
        if value is not None
    ]
    software = [
        f"{text(name.replace('_', ' '))} {text(_value(environment[name]))}"
        for name in _SOFTWARE
        if environment.get(name) is not None
    ]
    variables = environment.get("variables")
    if isinstance(variables, dict):
        software += [f"{code(name)}={text(_value(value))}" for name, value in variables.items()]
    pairs = [
        ("Started", text(document.created)),
        *((one.label, text(one.text)) for one in found if one.label not in _ELSEWHERE),
        ("Software", ", ".join(software)),
        ("Settings of all rows", ", ".join(settings)),
        *_read_back(document.rows),
    ]
    return [(f"**{label}**", said) for label, said in pairs if said]


def _read_back(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What torch said its settings were, once for all rows that agree."""
    by_setting: dict[str, list[str]] = {}
    for row in rows:
        if row.effective:
            said = ", ".join(f"{name.replace('_', ' ')} {v}" for name, v in row.effective.items())
            by_setting.setdefault(text(said), []).append(code(row.key))
    return [
        ("Read back from torch", f"{', '.join(keys)}: {said}") for said, keys in by_setting.items()
    ]


def _missing(found: Sequence[Remark], pictures: Pictures) -> list[tuple[str, str]]:
    missing = [text(one.text) for one in found if one.label == "Not available"]
    missing += [f"plot of {text(title.lower())}: {text(why)}" for title, why in pictures.left_out]
    return [("**Not available**", said) for said in missing]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(map(_value, value))
    return str(value)
