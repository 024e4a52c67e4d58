"""Where the time goes, as Markdown: what an epoch, a step and starting consist of in every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from perfkit import units
from perfkit.document import Document, Row
from perfkit.metrics import METRICS
from perfkit.report.columns import Column, with_values
from perfkit.report.escaping import code, table, text
from perfkit.report.phases import clocks, explanation, in_order, no_core, on_clock, title

_COLD, _WARM = "first_step_cold", "first_step"
_FIRST_STEPS = {_COLD: "first step, cold caches", _WARM: "first step, warm"}
"""What is compiled is kept by compilers, for the processes that come after."""


def sections(document: Document, heading: str = "Where the time goes") -> list[str]:
    """Return a heading and tables of the rows that were measured; nothing where none was."""
    epochs = [row for row in document.rows if row.epoch_parts_s]
    steps = [row for row in document.rows if row.phases_s]
    starts = [row for row in document.rows if row.startup_s]
    no_core_for = no_core([(code(row.key), row) for row in document.rows])
    said = []
    if epochs:
        said += ["One epoch, forecast from its parts:", _table(epochs, _of_epoch(epochs))]
    if steps:
        clock = on_clock(document)
        said += [f"One step, mean of its phases{f', {clock}' if clock else ''}:"]
        said += [_table(steps, _of_step(steps, document))]
        explained = explanation(name for row in steps for name in row.phases_s)
        said += [f"{text(explained[0].upper() + explained[1:])}."] if explained else []
    if no_core_for:
        said += [no_core_for]
    if starts:
        said += ["Once, when training starts:"]
        said += [_table(starts, _of_start(starts))]
    return [f"### {heading}", *said] if said else []


def _of_epoch(rows: Sequence[Row]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.epoch_parts_s)
    return _shares(rows, list(names), lambda row: row.epoch_parts_s)


def _of_step(rows: Sequence[Row], document: Document) -> list[Column]:
    """The phases; where there is a device, what it idled for its batch and, if they differ, whose clock."""
    names = in_order(name for row in rows for name in row.phases_s)
    found = _shares(rows, names, lambda row: row.phases_s)
    known = clocks(document)
    if len(known) > 1:
        cells = tuple(row.phases_clock or units.MISSING for row in rows)
        found.insert(0, Column(title="clock", unit="", cells=cells, is_number=False))
    if known:
        totals = [sum(row.phases_s.values()) for row in rows]
        scale, unit = units.time_unit(totals)
        cells = tuple(
            _part(row.exposed_wait_s, total, scale) for row, total in zip(rows, totals, strict=True)
        )
        found.append(_metric("exposed_wait_s", unit, cells))
    if any(row.not_ready_share is not None for row in rows):
        cells = tuple(units.share(row.not_ready_share, 1).removesuffix(" %") for row in rows)
        found.append(_metric("not_ready_share", "% of steps", cells))
    return found


def _of_start(rows: Sequence[Row]) -> list[Column]:
    """One-time costs; the first step twice where it was taken with cold caches and with warm ones."""
    names = list(dict.fromkeys(name for row in rows for name in row.startup_s if name != _COLD))
    called = dict[str, str]()
    if any(_COLD in row.startup_s for row in rows):
        names.insert(names.index(_WARM) if _WARM in names else len(names), _COLD)
        called = _FIRST_STEPS
    scale, unit = units.time_unit([value for row in rows for value in row.startup_s.values()])
    return [
        Column(
            title=called.get(name, title(name)),
            unit=unit,
            cells=tuple(_scaled(row.startup_s.get(name), scale) for row in rows),
        )
        for name in names
    ]


def _shares(
    rows: Sequence[Row], names: Sequence[str], parts: Callable[[Row], Mapping[str, float]]
) -> list[Column]:
    """A column of seconds and shares per name."""
    totals = [sum(parts(row).values()) for row in rows]
    scale, unit = units.time_unit(totals)
    return [
        Column(
            title=title(name),
            unit=unit,
            cells=tuple(
                _part(parts(row).get(name), total, scale)
                for row, total in zip(rows, totals, strict=True)
            ),
        )
        for name in names
    ]


def _part(value_s: float | None, total_s: float, scale: float) -> str:
    share = f" ({units.share(value_s / total_s)})" if value_s is not None and total_s > 0 else ""
    return f"{_scaled(value_s, scale)}{share}"


def _scaled(value_s: float | None, scale: float) -> str:
    return units.MISSING if value_s is None else units.significant(value_s / scale)


def _metric(name: str, unit: str, cells: tuple[str, ...]) -> Column:
    """A column among phases, which begin with small letters."""
    return Column(name=name, title=METRICS[name].in_text, unit=unit, cells=cells)


def _table(rows: Sequence[Row], found: Sequence[Column]) -> str:
    keys = Column(
        name="key",
        title=METRICS["key"].title,
        unit="",
        cells=tuple(code(row.key) for row in rows),
        is_number=False,
    )
    shown = with_values([keys, *found])
    cells = zip(*(one.cells for one in shown), strict=True)
    return table([text(one.heading) for one in shown], [one.is_number for one in shown], cells)
