"""The table every report shows, as text: one unit per column, digits as the intervals deserve.

Nothing here knows of a terminal or of Markdown; what is missing is an en dash. A column without any value is
left out: why it has none is said below the table, where the reason matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perfkit import units
from perfkit.document import Row, Speedup
from perfkit.metrics import METRICS

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table: a cell per row, in the rows' order."""

    name: str = ""
    """Of the metric in it; empty where it is none of the registry."""
    title: str
    unit: str
    """What every number of it is in; empty where cells say it themselves."""
    of: str = ""
    """What its numbers are of, or on; below the title, after the unit."""
    cells: tuple[str, ...]
    is_number: bool = True
    """Numbers stand to the right of their column."""

    @property
    def subtitle(self) -> str:
        """What stands below its title, or beside it in brackets."""
        return ", ".join(filter(None, (self.unit, self.of)))

    @property
    def heading(self) -> str:
        """Its title on one line, with its unit in brackets."""
        return f"{self.title} ({self.subtitle})" if self.subtitle else self.title


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return the columns of the answer that have a value, *Configuration* first and *Notes* last."""
    epoch = units.time_unit([r.epoch_time_s.value for r in rows if r.epoch_time_s is not None])
    step = units.time_unit([r.step_time_s.median for r in rows if r.step_time_s is not None])
    memory = units.byte_unit([peak_memory_bytes(r, rows) for r in rows])
    place = "device" if on_device(rows) else "host"
    return with_values(
        (
            _column("key", rows, lambda r: plain(r.key)),
            _column("epoch_time_s", rows, lambda r: _epoch(r, epoch[0]), unit=epoch[1]),
            _column("step_time_s", rows, lambda r: _step(r, step[0]), unit=step[1]),
            _column("samples_per_sec", rows, lambda r: units.rate(r.samples_per_sec)),
            _column("speedup", rows, speedup_of, of="of the epoch, 95 %"),
            _column(
                "peak_bytes", rows, lambda r: _memory(r, rows, memory[0]), unit=memory[1], of=place
            ),
            _column("gpu_util_share", rows, _utilisation, unit="% of time"),
            _column("notes", rows, lambda r: ", ".join(tags(r))),
        )
    )


def with_values(found: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns that have a value in some row; the first one names the rows, and stays."""
    return tuple(
        column
        for number, column in enumerate(found)
        if number == 0 or any(cell not in ("", units.MISSING) for cell in column.cells)
    )


def speedup(judged: Speedup | None, *, lines: int = 1) -> str:
    """Return a speed-up with its interval and outcome: `1.34× [1.29–1.40] faster`.

    Args:
        lines: 2 puts the interval below the rest.
    """
    if judged is None:
        return units.MISSING
    if judged.outcome == "reference":
        return "reference"
    value, interval = units.ratio_interval(judged.value, judged.low, judged.high)
    if lines == 2:
        return f"{value} {judged.outcome}\n{interval}".rstrip()
    return " ".join(part for part in (value, interval, judged.outcome) if part)


def judged_by(row: Row) -> Speedup | None:
    """Return what a row is judged by: its epochs, or its steps where no epoch could be forecast."""
    return row.speedup or row.step_speedup


def speedup_of(row: Row, *, lines: int = 1) -> str:
    """Return a row's speed-up as `speedup` does, and that it is one of steps where it is."""
    shown = speedup(judged_by(row), lines=lines)
    of_epoch = row.speedup is not None or row.step_speedup is None
    return shown if of_epoch or shown == "reference" else f"steps: {shown}"


def was_timed(row: Row) -> bool:
    """Whether steps of a row were timed, even if a part of its epoch was lost."""
    return row.epoch_time_s is not None or row.step_time_s is not None


def tags(row: Row) -> list[str]:
    """Return what a row's notes are about, in a word or two each; a failed row's status is the first."""
    status = [] if row.status == "ok" else [row.status]
    return status + [plain(note.code).replace("_", " ") for note in row.notes]


def on_device(rows: Sequence[Row]) -> bool:
    """Whether peak memory is the device's (what torch's allocator gave out) and not the host's."""
    return any(row.peak_allocated_bytes is not None for row in rows)


def peak_memory_bytes(row: Row, rows: Sequence[Row]) -> int | None:
    """Return the peak that rows are compared by: the device's where there is one, else host RSS."""
    return row.peak_allocated_bytes if on_device(rows) else row.peak_rss_bytes


def plain(text: str) -> str:
    """Return somebody else's text on one line, without terminal codes or control characters."""
    shown = (c if c.isprintable() or c == "\u202f" else " " for c in _ANSI.sub("", text))
    return re.sub(" +", " ", "".join(shown)).strip()


def _column(
    name: str, rows: Sequence[Row], cell: Callable[[Row], str], *, unit: str = "", of: str = ""
) -> Column:
    metric = METRICS[name]
    return Column(
        name=name,
        title=metric.title,
        unit=unit,
        of=of,
        cells=tuple(cell(row) for row in rows),
        # a speed-up says its outcome in a word
        is_number=metric.kind not in ("text", "ratio"),
    )


def _epoch(row: Row, scale: float) -> str:
    if row.epoch_time_s is None:
        return units.MISSING
    half = row.epoch_time_s.half_width
    return units.with_error(row.epoch_time_s.value / scale, None if half is None else half / scale)


def _step(row: Row, scale: float) -> str:
    return units.rate(None if row.step_time_s is None else row.step_time_s.median / scale)


def _memory(row: Row, rows: Sequence[Row], scale: float) -> str:
    peak = peak_memory_bytes(row, rows)
    return units.rate(None if peak is None else peak / scale)


def _utilisation(row: Row) -> str:
    return units.share(row.gpu_util_share).removesuffix(" %")
