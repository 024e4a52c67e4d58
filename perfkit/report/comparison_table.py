"""The table of `perfkit compare`: its cells, and how a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfkit import units
from perfkit.comparison import By, ComparedRow, Comparison, Side
from perfkit.document import Speedup
from perfkit.metrics import METRICS
from perfkit.report.columns import Column, plain, with_values
from perfkit.report.terminal import STYLES, open_table
from perfkit.stats import Interval

_MEMORY_STYLES = {"more": "red", "less": "green", "same": "cyan"}


def columns(comparison: Comparison) -> tuple[Column, ...]:
    """Return the columns that have a value, *Configuration* first."""
    rows = comparison.compared
    sides = [side for row in rows for side in (row.old, row.new) if side is not None]
    by = comparison.by
    scale, unit = units.time_unit([found_s.value for s in sides if (found_s := time_of(s, by))])
    unit += "" if by == "epoch" else f" a {by}"
    memory_scale, memory_unit = units.byte_unit([side.peak_bytes for side in sides])
    found = [
        Column(
            title=METRICS["key"].title,
            unit="",
            is_number=False,
            cells=tuple(plain(r.key) for r in rows),
        ),
        Column(title="Old", unit=unit, cells=tuple(_time(r.old, by, scale) for r in rows)),
        Column(title="New", unit=unit, cells=tuple(_time(r.new, by, scale) for r in rows)),
        Column(
            title="Old ÷ new",
            unit="directly, 95 %",
            is_number=False,
            cells=tuple(_judged(r.speedup, says=r.against_reference is None) for r in rows),
        ),
    ]
    if comparison.reference is not None:
        found.append(
            Column(
                title="Old ÷ new",
                unit="to reference, 95 %",
                is_number=False,
                cells=tuple(
                    "reference" if r.key == comparison.reference else _judged(r.against_reference)
                    for r in rows
                ),
            )
        )
    place = next((row.memory_on for row in rows if row.memory_on), "host")
    found.append(
        Column(
            name="peak_bytes",
            title=METRICS["peak_bytes"].title,
            unit=memory_unit,
            of=place,
            is_number=False,
            cells=tuple(_memory(row, memory_scale) for row in rows),
        )
    )
    return with_values(found)


def table(shown: Sequence[Column], rows: Sequence[ComparedRow]) -> Table:
    """Return the rows side by side."""
    made = open_table()
    for column in shown:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        heading = Text(f"{column.title}\n{column.subtitle}", style="bold")
        made.add_column(heading, justify=justify, no_wrap=True)
    for number, row in enumerate(rows):
        made.add_row(*(_cell(column, number, row) for column in shown))
    return made


def records(shown: Sequence[Column], rows: Sequence[ComparedRow]) -> Group:
    """Every row as a paragraph; what is missing is left out."""
    label_width = 2 + max(cell_len(_label(column)) for column in shown)
    paragraphs: list[RenderableType] = []
    for number, row in enumerate(rows):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, width=label_width)
        grid.add_column()
        for column in shown[1:]:
            if column.cells[number] != units.MISSING:
                grid.add_row(f"  {_label(column)}", _cell(column, number, row))
        paragraphs += [Text()] if number else []
        paragraphs += [Text(plain(row.key), style="bold", overflow="fold"), grid]
    return Group(*paragraphs)


def ratio(judged: Speedup) -> str:
    """Format a comparison with its interval."""
    return " ".join(units.ratio_interval(judged.value, judged.low, judged.high)).rstrip()


def time_of(side: Side, by: By) -> Interval | None:
    """Return the time of a row that is compared, seconds."""
    times = {"epoch": side.epoch_time_s, "step": side.step_time_s, "sample": side.sample_time_s}
    return times[by]


def _judged(judged: Speedup | None, *, says: bool = True) -> str:
    """A ratio with its interval; `says` adds the outcome, which only the comparison that counts does."""
    if judged is None:
        return units.MISSING
    return f"{ratio(judged)} {judged.outcome}" if says else ratio(judged)


def _time(side: Side | None, by: By, scale: float) -> str:
    if side is None:
        return units.MISSING
    time_s = time_of(side, by)
    if time_s is None:
        return units.MISSING if side.status == "ok" else side.status
    half = time_s.half_width
    return units.with_error(time_s.value / scale, None if half is None else half / scale)


def _memory(row: ComparedRow, scale: float) -> str:
    peaks = [None if side is None else side.peak_bytes for side in (row.old, row.new)]
    old, new = (units.rate(None if peak is None else peak / scale) for peak in peaks)
    if row.memory_ratio is None:
        return units.MISSING if peaks == [None, None] else f"{old} → {new}"
    return f"{old} → {new}, {units.ratio(row.memory_ratio)} {row.memory_outcome}"


def _label(column: Column) -> str:
    return f"{column.title}, {column.subtitle.removesuffix(', 95 %')}"


def _cell(column: Column, number: int, row: ComparedRow) -> Text:
    text = column.cells[number]
    last = text.rpartition(" ")[2]
    styles = _MEMORY_STYLES if column.name == "peak_bytes" else STYLES
    failed = column.title == "New" and row.fails_now
    return Text(text, style="red" if failed else styles.get(last, ""))
