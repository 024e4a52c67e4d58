"""Rows as a flat table: one line per row, one column per value, named as in the Document.

Columns keep the unit as their suffix: `epoch_time_s`, `epoch_time_low_s`, `phase_forward_s`. Nothing is
rounded. A missing value is an empty cell, and `unavailable` says why. What a run was diagnosed with stands in
columns of its row, from `diagnosis_primary` on: a spreadsheet of several runs shows what changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from perfkit.document import Document, Row
from perfkit.report.columns import plain
from perfkit.report.diagnose.cells import cells
from perfkit.report.phases import in_order
from perfkit.report.runs import Run

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | None

_PREFIXES = {
    "epoch_parts_s": ("epoch_part_", "_s"),
    "phases_s": ("phase_", "_s"),
    "startup_s": ("startup_", "_s"),
    "memory": ("memory_", ""),
    "telemetry": ("telemetry_", ""),
    "loader": ("loader_", ""),
    "loss": ("loss_", ""),
    "effective": ("effective_", ""),
}
"""Before and after the names of what a row holds as a mapping."""
_PARTS = {
    "epoch_time_s": {
        "epoch_time_s": "value",
        "epoch_time_low_s": "low",
        "epoch_time_high_s": "high",
    },
    "step_time_s": {"step_time_s": "median", "step_time_p10_s": "p10", "step_time_p90_s": "p90"},
    **{
        name: {
            name: "value",
            f"{name}_low": "low",
            f"{name}_high": "high",
            f"{name}_outcome": "outcome",
        }
        for name in ("speedup", "step_speedup")
    },
}
"""Columns of an interval or a spread: its value has the name itself."""


def frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a data frame of all rows of all runs; cells are Python's own values, missing ones None.

    Text is on one line. A leading `=`, `+`, `-` or `@`, which a spreadsheet would compute, gets an
    apostrophe before it.
    """
    import pandas as pd

    held = _held([row for run in runs for row in run.document.rows])
    lines = [
        {
            "run": plain(run.name),
            **_of_document(run.document),
            **_of_row(row, held),
            **(cells(run.document.diagnosis) if number == 0 else {}),
        }
        for run in runs
        for number, row in enumerate(run.document.rows)
    ]
    names = list(dict.fromkeys(name for line in lines for name in line))
    # as objects, a whole number stays one in a column that misses some
    values = [[_inert(line.get(name)) for name in names] for line in lines]
    return pd.DataFrame(values, columns=pd.Index(names), dtype=object)


def report(runs: Sequence[Run]) -> str:
    """Return the table as CSV."""
    return str(frame(runs).to_csv(index=False, lineterminator="\n"))


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
        for name in _PREFIXES
    }
    return found | {"phases_s": in_order(found["phases_s"])}


def _of_row(row: Row, held: Mapping[str, Sequence[str]]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for field in fields(row):
        name, value = field.name, getattr(row, field.name)
        if name in _PREFIXES:
            before, after = _PREFIXES[name]
            for key in held[name]:
                head = f"{before}{plain(key)}{after}"
                cells[head] = _cell(value[key]) if key in value else cells.get(head)
        elif name in _PARTS:
            cells |= {shown: getattr(value, part, None) for shown, part in _PARTS[name].items()}
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
    return plain(str(value))


def _inert(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
