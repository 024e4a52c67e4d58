"""What a step consists of: its phases end to end, every row on one scale."""

from __future__ import annotations

from matplotlib.axes import Axes

from perfkit import units
from perfkit.document import Document, Row
from perfkit.metrics import METRICS
from perfkit.report.phases import clock_of, clocks, explanation, in_order, on_clock, title
from perfkit.report.plots import _page, _stack
from perfkit.report.plots._page import Absent, Drawing, Slot
from perfkit.runfolder import StudyFolder

NAME, TITLE = "phases", METRICS["phases_s"].title
_TINY = 0.005
"""Part of the longest step below which a phase cannot be seen, and is left to the table."""


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw a bar per row, made of its phases."""
    totals = [sum(row.phases_s.values()) for row in document.rows if row.phases_s]
    if not totals or max(totals) <= 0:
        return Absent("no row has them")
    longest = max(totals)
    unit = _page.time_axis(totals)
    seen = [
        name
        for name in in_order(name for row in document.rows for name in row.phases_s)
        if any(row.phases_s.get(name, 0.0) > _TINY * longest for row in document.rows)
    ]
    columns = 3
    figure, axes, slots = _page.bar_page(
        document.rows,
        [_value(row, unit, differ=len(clocks(document)) > 1) for row in document.rows],
        title=f"{TITLE} (mean)",
        axis=f"{unit[1]} per step",
        legend_lines=-(-len(seen) // columns),
    )
    axes.set_xlim(0, 1.01 * longest / unit[0])
    for slot in slots:
        if slot.row.phases_s:
            _draw(axes, slot, seen, unit[0], longest)
        else:
            _page.not_drawn(axes, slot)
    _page.legend(
        figure,
        [(title(name), *look) for name, look in _stack.looks(seen).items()],
        columns=columns,
    )
    return Drawing(figure, _caption(document))


def _draw(axes: Axes, slot: Slot, names: list[str], scale: float, longest: float) -> None:
    parts = {name: slot.row.phases_s.get(name, 0.0) for name in names}
    total = sum(slot.row.phases_s.values())
    _stack.draw(axes, slot.bar_in, parts, scale=scale, total=total, longest=longest)


def _value(row: Row, unit: units.Unit, *, differ: bool) -> str:
    if not row.phases_s:
        return ""
    clock = f", {clock_of(row)}" if differ else ""
    return f"{units.seconds(sum(row.phases_s.values()), unit)}{clock}{_page.status_of(row)}"


def _caption(document: Document) -> str:
    names = {name for row in document.rows for name in row.phases_s}
    said = ["mean over all timed steps"]
    explained = explanation(names)
    if explained:
        said.append(explained)
    elif "data_wait" in names:
        said.append("“data wait” is the wait for a batch")
    clock = on_clock(document)
    return f"{'; '.join(said)}.{f' The phases are {clock}.' if clock else ''}"
