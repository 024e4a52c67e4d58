"""What `perfkit compare` found, as text for a terminal: a table where it fits, else a record per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfkit import units
from perfkit.comparison import ComparedRow, Comparison, Side
from perfkit.document import Speedup
from perfkit.report.columns import Column, plain
from perfkit.report.terminal import (
    MOST_TEXT_WIDTH,
    STYLES,
    fits,
    labelled,
    open_table,
    wrapped,
)
from perfkit.stats import Outcome

_UNSHARED = {
    "attached": "a script that was watched has none",
    "one_row": "one of them has a single row",
    "other_reference": "their references differ",
    "other_settings": "their settings differ",
    "reference_failed": "it was not measured in both",
}
"""Why two runs share no reference, in words."""
_MEMORY_STYLES = {"more": "red", "less": "green", "same": "cyan"}


def parts(comparison: Comparison, console: Console) -> list[RenderableType]:
    """Return what to print, from the table to the warnings."""
    shown = columns(comparison)
    table = _table(shown, comparison.compared)
    is_wide = fits(table, console)
    width = min(console.width, MOST_TEXT_WIDTH)
    noted = [
        (plain(row.key), plain(note.text)) for row in comparison.compared for note in row.notes
    ]
    found: list[RenderableType] = [
        table if is_wide else _records(shown, comparison.compared),
        Text(),
        wrapped(meaning(comparison), width, style="bold"),
    ]
    for pairs in (noted, remarks(comparison)):
        if pairs:
            found += [Text(), labelled(pairs, console.width)]
    return found


def columns(comparison: Comparison) -> tuple[Column, ...]:
    """Return the table, *Configuration* first."""
    rows = comparison.compared
    sides = [side for row in rows for side in (row.old, row.new) if side is not None]
    scale, unit = units.time_unit([s.epoch_time_s.value for s in sides if s.epoch_time_s])
    memory_scale, memory_unit = units.byte_unit([side.peak_bytes for side in sides])
    found = [
        Column(
            title="Configuration", unit="", is_number=False, cells=tuple(plain(r.key) for r in rows)
        ),
        Column(title="Old", unit=unit, cells=tuple(_epoch(r.old, scale) for r in rows)),
        Column(title="New", unit=unit, cells=tuple(_epoch(r.new, scale) for r in rows)),
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
            title="Peak memory",
            unit=f"{memory_unit}, {place}",
            is_number=False,
            cells=tuple(_memory(row, memory_scale) for row in rows),
        )
    )
    return tuple(found)


def meaning(comparison: Comparison) -> str:
    """Return what became of the rows, in a sentence or a few."""
    if comparison.same_study:
        return "Both are one and the same study: every row is the same."
    rows = comparison.compared
    others = [row for row in rows if row.key != comparison.reference]
    said = [
        f"{lead}: {', '.join(_named(row) for row in found)}."
        for outcome, lead in _LEADS
        if (found := [r for r in others if r.judged and r.judged.outcome == outcome])
    ]
    said += [_reference(row) for row in rows if row.key == comparison.reference]
    for outcome, lead in (("more", "More memory"), ("less", "Less memory")):
        found = [row for row in rows if row.memory_outcome == outcome]
        if found:
            listed = ", ".join(f"{plain(r.key)} {units.ratio(r.memory_ratio)}" for r in found)
            said.append(f"{lead}: {listed}.")
    lost = [row for row in rows if row.fails_now]
    if lost:
        listed = ", ".join(f"{plain(r.key)} ({r.new.status})" for r in lost if r.new)
        said.append(f"Failed in NEW: {listed}.")
    for lead, names in (
        ("No epoch could be forecast in OLD", _without_epoch(rows, lambda row: row.old)),
        ("No epoch could be forecast in NEW", _without_epoch(rows, lambda row: row.new)),
        ("Only in OLD", [plain(row.key) for row in rows if row.new is None]),
        ("Only in NEW", [plain(row.key) for row in rows if row.old is None]),
    ):
        if names:
            said.append(f"{lead}: {', '.join(names)}.")
    return " ".join(said) or "Nothing could be compared: no row was measured in both."


def remarks(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how it was compared, what differs, and which gates tripped, each with its label."""
    old, new = comparison.old, comparison.new
    found = [("Gate", f"{note.code} tripped by {plain(note.text)}") for note in comparison.tripped]
    if comparison.gates and not comparison.tripped:
        found.append(("Gate", f"none tripped of {', '.join(comparison.gates)}"))
    found += [("Failed", text) for row in comparison.compared if (text := _failure(row))]
    found += [("Warning", plain(note.text)) for note in comparison.warnings]
    unshared = comparison.unavailable.get("against_reference")
    if unshared:
        why = _UNSHARED.get(unshared, plain(unshared).replace("_", " "))
        text = (
            f"the runs share no reference ({why}): whatever befell the machine between them is in"
            " every ratio"
        )
        found.append(("Warning", text))
    return [
        *found,
        ("Old", f"{plain(old.name)}, {plain(old.created)}: {plain(old.command)}"),
        ("New", f"{plain(new.name)}, {plain(new.created)}: {plain(new.command)}"),
        ("Compared", _method(comparison)),
    ]


_LEADS: tuple[tuple[Outcome, str], ...] = (
    ("slower", "Slower"),
    ("faster", "Faster"),
    ("same", "The same"),
    ("inconclusive", "Not settled"),
)


def _method(comparison: Comparison) -> str:
    if comparison.same_study:
        return "nothing to compare"
    text = f"old ÷ new, above 1 is faster; {comparison.method.get('interval', '')}"
    if comparison.reference is None:
        return plain(text)
    return plain(
        f"{text}; to reference: the speed-ups over {comparison.reference} that each run measured in"
        " turns, so that what befell the machine between the runs cancels"
    )


def _reference(row: ComparedRow) -> str:
    judged = row.speedup
    assert judged is not None
    moved = {
        "faster": "is faster now",
        "slower": "is slower now",
        "same": "has not moved",
        "inconclusive": "may have moved",
    }
    return f"The reference {plain(row.key)} itself {moved[judged.outcome]}: {_ratio(judged)}."


def _without_epoch(
    rows: Sequence[ComparedRow], side: Callable[[ComparedRow], Side | None]
) -> list[str]:
    """The rows whose steps were timed, but of whose epoch a part was lost."""
    return [
        plain(row.key)
        for row in rows
        if (one := side(row)) is not None and one.status == "ok" and one.epoch_time_s is None
    ]


def _failure(row: ComparedRow) -> str:
    if not row.fails_now or row.new is None:
        return ""
    reason = plain(row.new.message or "no reason was given")
    return f"{plain(row.key)} in NEW: {row.new.status}: {reason}"


def _named(row: ComparedRow) -> str:
    assert row.judged is not None
    return f"{plain(row.key)} {_ratio(row.judged)}"


def _ratio(judged: Speedup) -> str:
    return " ".join(units.ratio_interval(judged.value, judged.low, judged.high)).rstrip()


def _judged(judged: Speedup | None, *, says: bool = True) -> str:
    """A ratio with its interval; `says` adds the outcome, which only the comparison that counts does."""
    if judged is None:
        return units.MISSING
    return f"{_ratio(judged)} {judged.outcome}" if says else _ratio(judged)


def _epoch(side: Side | None, scale: float) -> str:
    if side is None:
        return units.MISSING
    if side.epoch_time_s is None:
        return units.MISSING if side.status == "ok" else side.status
    half = side.epoch_time_s.half_width
    return units.with_error(side.epoch_time_s.value / scale, None if half is None else half / scale)


def _memory(row: ComparedRow, scale: float) -> str:
    peaks = [None if side is None else side.peak_bytes for side in (row.old, row.new)]
    old, new = (units.rate(None if peak is None else peak / scale) for peak in peaks)
    if row.memory_ratio is None:
        return units.MISSING if peaks == [None, None] else f"{old} → {new}"
    return f"{old} → {new}, {units.ratio(row.memory_ratio)} {row.memory_outcome}"


def _table(shown: Sequence[Column], rows: Sequence[ComparedRow]) -> Table:
    table = open_table()
    for column in shown:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        heading = Text(f"{column.title}\n{column.unit}", style="bold")
        table.add_column(heading, justify=justify, no_wrap=True)
    for number, row in enumerate(rows):
        table.add_row(*(_cell(column, number, row) for column in shown))
    return table


def _records(shown: Sequence[Column], rows: Sequence[ComparedRow]) -> Group:
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


def _label(column: Column) -> str:
    return f"{column.title}, {column.unit.removesuffix(', 95 %')}"


def _cell(column: Column, number: int, row: ComparedRow) -> Text:
    text = column.cells[number]
    last = text.rpartition(" ")[2]
    styles = _MEMORY_STYLES if column.title == "Peak memory" else STYLES
    failed = column.title == "New" and row.fails_now
    return Text(text, style="red" if failed else styles.get(last, ""))
