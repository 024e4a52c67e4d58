"""What a step consists of: its phases end to end, every row on one scale."""

from __future__ import annotations

from matplotlib.axes import Axes

from perfkit import units
from perfkit.document import Document, Row
from perfkit.report.columns import plain
from perfkit.report.plots import _page
from perfkit.report.plots._page import Absent, Drawing, Slot
from perfkit.runfolder import StudyFolder

NAME, TITLE = "phases", "Phases of a step"
_LOOKS = {
    "data_wait": (_page.VERMILLION, "////"),
    "h2d": (_page.YELLOW, "...."),
    "forward": (_page.SKY, ""),
    "backward": (_page.BLUE, ""),
    "optimizer": (_page.GREEN, "\\\\\\\\"),
    "other": ("#CCCCCC", ""),
}
_ELSE = (_page.PURPLE, "xxxx")
_LEAST_LABELLED = 0.075
"""Part of the page's width from which on a phase has room for its share."""
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
        for name in dict.fromkeys(name for row in document.rows for name in row.phases_s)
        if any(row.phases_s.get(name, 0.0) > _TINY * longest for row in document.rows)
    ]
    columns = 3
    figure, axes, slots = _page.bar_page(
        document.rows,
        [_value(row, unit) for row in document.rows],
        title="Phases of a step (mean)",
        axis=f"{unit[1]} per step",
        legend_lines=-(-len(seen) // columns),
    )
    axes.set_xlim(0, 1.01 * longest / unit[0])
    for slot in slots:
        if slot.row.phases_s:
            _stack(axes, slot, seen, unit[0], longest)
        else:
            _page.not_drawn(axes, slot)
    _page.legend(
        figure,
        [(plain(name).replace("_", " "), *_LOOKS.get(name, _ELSE)) for name in seen],
        columns=columns,
    )
    host = document.environment.get("device_type") not in ("cpu", None)
    clock = (
        " On the host's clock: a call that the device still works on counts until it returns."
        if host
        else ""
    )
    return Drawing(
        figure, f"mean over all timed steps; “data wait” is the wait for a batch.{clock}"
    )


def _stack(axes: Axes, slot: Slot, names: list[str], scale: float, longest: float) -> None:
    total, left = sum(slot.row.phases_s.values()), 0.0
    for name in names:
        value = slot.row.phases_s.get(name, 0.0)
        if value <= 0:
            continue
        color, hatch = _LOOKS.get(name, _ELSE)
        axes.barh(
            slot.bar_in,
            value / scale,
            left=left / scale,
            height=_page.BAR_IN,
            color=color,
            edgecolor="white",
            hatch=hatch,
            linewidth=0.8,
        )
        if value >= _LEAST_LABELLED * longest:
            axes.text(
                (left + value / 2) / scale,
                slot.bar_in,
                units.share(value / total),
                ha="center",
                va="center_baseline",
                fontsize=_page.SMALL_PT,
                color="black",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9},
            )
        left += value


def _value(row: Row, unit: units.Unit) -> str:
    if not row.phases_s:
        return ""
    return f"{units.seconds(sum(row.phases_s.values()), unit)}{_page.status_of(row)}"
