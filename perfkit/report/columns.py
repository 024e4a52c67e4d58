"""The table every report shows, as text: one unit per column, digits as the intervals deserve.

Nothing here knows of a terminal or of Markdown; what is missing is an en dash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perfkit import units
from perfkit.document import Row, Speedup

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table: a cell per row, in the rows' order."""

    title: str
    unit: str
    """What every number of it is in; empty where cells say it themselves."""
    cells: tuple[str, ...]
    is_number: bool = True
    """Numbers stand to the right of their column."""


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return the columns of the answer, *Configuration* first and *Notes* last."""
    epoch = units.time_unit([r.epoch_time_s.value for r in rows if r.epoch_time_s is not None])
    step = units.time_unit([r.step_time_s.median for r in rows if r.step_time_s is not None])
    memory = units.byte_unit([peak_memory_bytes(r, rows) for r in rows])
    return (
        _column("Configuration", "", rows, lambda r: plain(r.key), is_number=False),
        _column("Epoch time", epoch[1], rows, lambda r: _epoch(r, epoch[0])),
        _column("Step time", step[1], rows, lambda r: _step(r, step[0])),
        _column("Samples/s", "", rows, lambda r: units.rate(r.samples_per_sec)),
        _column("Speed-up", "", rows, speedup_of, is_number=False),
        _column("Peak memory", memory[1], rows, lambda r: _memory(r, rows, memory[0])),
        _column("GPU utilisation", "% of time", rows, _utilisation),
        _column("Notes", "", rows, lambda r: ", ".join(tags(r)), is_number=False),
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
    title: str,
    unit: str,
    rows: Sequence[Row],
    cell: Callable[[Row], str],
    *,
    is_number: bool = True,
) -> Column:
    cells = tuple(cell(row) for row in rows)
    return Column(title=title, unit=unit, cells=cells, is_number=is_number)


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
