"""Rows as a flat table: one line per row, one column per value, named as in the Document.

Columns keep the unit as their suffix: `epoch_time_s`, `epoch_time_low_s`, `phase_forward_s`. Nothing is
rounded. A missing value is an empty cell, and `unavailable` says why. What a run was diagnosed with stands in
columns of its row, from `diagnosis_primary` on: a spreadsheet of several runs shows what changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from perfkit.document import Document, Row, StepWindows
from perfkit.metrics import METRICS
from perfkit.report.columns import plain
from perfkit.report.diagnose.cells import cells
from perfkit.report.phases import in_order

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | None

_MAPPINGS = [metric.name for metric in METRICS.values() if metric.member]


def frame(answers: Sequence[tuple[str, Document]]) -> pd.DataFrame:
    """Return a data frame of all rows of all answers, a column for each metric; texts are on one line.

    Types are pandas' nullable ones: whole numbers stay whole, and what is missing is `NA`.
    """
    import pandas as pd

    names, lines = table(answers)
    # as objects first: a whole number is one still in a column that misses some
    return pd.DataFrame(lines, columns=pd.Index(names), dtype=object).convert_dtypes()


def table(answers: Sequence[tuple[str, Document]]) -> tuple[list[str], list[list[Cell]]]:
    """Return the names of all columns, and a cell in each of them for every row; what is missing is None.

    Args:
        answers: each with the name of its run.
    """
    held = _held([row for _, document in answers for row in document.rows])
    lines = [
        {
            "run": plain(name),
            **_of_document(document),
            **_of_row(row, held),
            **(cells(document.diagnosis) if number == 0 else {}),
        }
        for name, document in answers
        for number, row in enumerate(document.rows)
    ]
    names = list(dict.fromkeys(name for line in lines for name in line))
    return names, [[line.get(name) for name in names] for line in lines]


def _of_document(document: Document) -> dict[str, Cell]:
    head: dict[str, Cell] = {
        "kind": plain(document.kind),
        "created": plain(document.created),
        "command": plain(document.command),
        "complete": str(document.complete).lower(),
    }
    head |= _flat("environment_", document.environment)
    return head | _flat("base_", document.base)


def _held(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What the mappings of all rows hold: the columns of one stand together, phases as they happen."""
    found = {
        name: list(dict.fromkeys(key for row in rows for key in getattr(row, name)))
        for name in _MAPPINGS
    }
    return found | {"phases_s": in_order(found["phases_s"])}


def _of_row(row: Row, held: Mapping[str, Sequence[str]]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for field in fields(row):
        name, value = field.name, getattr(row, field.name)
        metric = METRICS.get(name)
        if name in held and metric is not None:
            for key in held[name]:
                head = metric.member.format(plain(key))
                cells[head] = _cell(value[key]) if key in value else cells.get(head)
        elif metric is not None and metric.parts:
            cells |= {head: getattr(value, part, None) for head, part in metric.heads().items()}
        elif name == "notes":
            cells[name] = "; ".join(f"{plain(n.code)}: {plain(n.text)}" for n in value) or None
        elif name == "unavailable":
            why = (f"{plain(key)}={plain(reason)}" for key, reason in value.items())
            cells[name] = "; ".join(why) or None
        else:
            cells[name] = _cell(value)
    return cells


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Cell]:
    return {
        f"{prefix}{plain(name)}": _cell(value)
        for name, value in values.items()
        if not isinstance(value, dict)
    }


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "; ".join(str(_cell(one)) for one in value) or None
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, StepWindows):
        return _cell(value.step_time_s)
    return plain(str(value))
