"""How long an epoch takes in every row, with its interval, and how sure it is that rows differ."""

from __future__ import annotations

from matplotlib.axes import Axes

from perfkit import units
from perfkit.document import Document, Row
from perfkit.metrics import METRICS
from perfkit.report.columns import judged_by, speedup_of, was_timed
from perfkit.report.plots import _page
from perfkit.report.plots._page import Absent, Drawing
from perfkit.runfolder import StudyFolder

_METRIC = METRICS["epoch_time_s"]
NAME, TITLE = "epoch-time", _METRIC.title
_COLORS = {
    "reference": _page.GREY,
    "faster": _page.GREEN,
    "slower": _page.VERMILLION,
    "same": _page.SKY,
    "inconclusive": _page.YELLOW,
}
"""The word stands above every bar as well."""
_HATCHES = {"slower": "////", "inconclusive": "...."}
_NO_FORECAST = "no forecast of its epoch: only steps were timed"


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw a bar per row with its interval, and a point per generation."""
    times = [row.epoch_time_s for row in document.rows if row.epoch_time_s is not None]
    if not times:
        return Absent("no row has one")
    unit = _page.time_axis([one.value for one in times])
    figure, axes, slots = _page.bar_page(
        document.rows,
        [_value(row, unit) for row in document.rows],
        title=f"{TITLE}: {_METRIC.preference}",
        axis=f"{unit[1]} per epoch",
    )
    for slot in slots:
        row = slot.row
        if row.epoch_time_s is None:
            _page.not_drawn(axes, slot, _NO_FORECAST if was_timed(row) else "not measured")
            continue
        outcome = "" if row.speedup is None else row.speedup.outcome
        axes.barh(
            slot.bar_in,
            row.epoch_time_s.value / unit[0],
            height=_page.BAR_IN,
            color=_COLORS.get(outcome, "#CCCCCC"),
            edgecolor="#333333",
            linewidth=0.6,
            hatch=_HATCHES.get(outcome),
            zorder=2,
        )
        if row.epoch_time_s.low is not None and row.epoch_time_s.high is not None:
            _interval(
                axes, slot.bar_in, row.epoch_time_s.low / unit[0], row.epoch_time_s.high / unit[0]
            )
        each = [value / unit[0] for value in row.generation_epoch_time_s]
        axes.plot(
            each,
            [slot.bar_in] * len(each),
            "o",
            markersize=3.2,
            markerfacecolor="white",
            markeredgecolor=_page.BLACK,
            markeredgewidth=0.7,
            zorder=4,
        )
    first = document.rows[0].epoch_time_s
    if first is not None and len(document.rows) > 1:
        # beside the bars only: a line through the text above them would be in its way
        half = _page.BAR_IN / 2 + 0.02
        for slot in (one for one in slots if one.row.epoch_time_s is not None):
            axes.plot(
                [first.value / unit[0]] * 2,
                [slot.bar_in - half, slot.bar_in + half],
                color=_page.BLACK,
                linewidth=0.9,
                linestyle=(0, (2.5, 1.5)),
                zorder=3,
            )
    ends = [end for one in times for end in (one.value, one.high) if end is not None]
    reach = max(ends + [value for row in document.rows for value in row.generation_epoch_time_s])
    axes.set_xlim(0, 1.03 * reach / unit[0])
    caption = (
        "forecast of one epoch; the black line is the 95 % interval, a point is one generation of fresh"
        " processes"
    )
    dashed = ", the dashed line is the reference" if len(document.rows) > 1 else ""
    return Drawing(figure, f"{caption}{dashed}.")


def _value(row: Row, unit: units.Unit) -> str:
    by = "" if judged_by(row) is None else speedup_of(row)
    if row.epoch_time_s is None:
        return f"{by}{_page.status_of(row)}" if by else ""
    half = row.epoch_time_s.half_width
    value = units.with_error(row.epoch_time_s.value / unit[0], half and half / unit[0])
    return f"{value} {unit[1]}{f'   {by}' if by else ''}{_page.status_of(row)}"


def _interval(axes: Axes, at_in: float, low: float, high: float) -> None:
    axes.plot([low, high], [at_in, at_in], "-", color=_page.BLACK, linewidth=1.3, zorder=3)
    axes.plot([low, high], [at_in, at_in], "|", color=_page.BLACK, markersize=7, zorder=3)
