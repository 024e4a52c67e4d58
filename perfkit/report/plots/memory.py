"""Peak memory of every row: the device's where there is one, else the host's."""

from __future__ import annotations

from perfkit import units
from perfkit.document import Document, Row
from perfkit.metrics import METRICS
from perfkit.report.columns import on_device
from perfkit.report.plots import _page
from perfkit.report.plots._page import Absent, Drawing
from perfkit.runfolder import StudyFolder

_METRIC = METRICS["peak_bytes"]
NAME, TITLE = "memory", _METRIC.title
_LOOKS = ((_page.BLUE, ""), (_page.ORANGE, "////"))


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw two bars per row: what tensors took and what the allocator held, or trainer and workers."""
    device = on_device(document.rows)
    pairs = [_peaks(row, device) for row in document.rows]
    present = [peak for pair in pairs for peak in pair if peak is not None]
    if not present:
        return Absent("no row has one")
    names = (
        ("allocated to tensors", "reserved by the allocator")
        if device
        else ("trainer (peak RSS)", "its loader workers (PSS)")
    )
    bars = 2 if any(second is not None for _, second in pairs) else 1
    scale, unit = units.byte_unit([max(present)])
    figure, axes, slots = _page.bar_page(
        document.rows,
        [_value(row, pair, scale, unit) for row, pair in zip(document.rows, pairs, strict=True)],
        title=f"{TITLE} of the {'device' if device else 'host'}: {_METRIC.preference}",
        axis=unit,
        bars=bars,
        legend_lines=1,
    )
    for slot, pair in zip(slots, pairs, strict=True):
        if pair == (None, None):
            _page.not_drawn(axes, slot)
        for number, peak in enumerate(pair):
            if peak is None:
                continue
            color, hatch = _LOOKS[number]
            axes.barh(
                slot.bar_in + (number - (bars - 1) / 2) * _page.BAR_IN,
                peak / scale,
                height=_page.BAR_IN * 0.9,
                color=color,
                edgecolor="white",
                hatch=hatch,
                linewidth=0,
            )
    axes.set_xlim(0, 1.03 * max(present) / scale)
    _page.legend(
        figure, [(name, *look) for name, look in zip(names[:bars], _LOOKS, strict=False)], columns=2
    )
    total = document.environment.get("device_memory_bytes")
    of = f" The device has {units.size(total)}." if device and total else ""
    what = (
        "the most that torch's allocator gave to tensors, and the most that it held from the device"
        if device
        else "of one process, and of its loader workers together"
    )
    return Drawing(figure, f"{what}.{of}")


def _peaks(row: Row, device: bool) -> tuple[int | None, int | None]:
    if device:
        return row.peak_allocated_bytes, row.peak_reserved_bytes
    return row.peak_rss_bytes, row.memory.get("workers_pss_bytes")


def _value(row: Row, pair: tuple[int | None, int | None], scale: float, unit: str) -> str:
    said = [units.significant(peak / scale) for peak in pair if peak is not None]
    return f"{' and '.join(said)} {unit}{_page.status_of(row)}" if said else ""
