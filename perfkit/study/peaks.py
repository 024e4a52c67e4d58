"""Peak memory of two runs, held against each other. Pure."""

from __future__ import annotations

from typing import Literal

from perfkit.comparison import MemoryOutcome, Side
from perfkit.document import Row

MEMORY_SAME_WITHIN = 0.02
"""Peaks have no interval: this close they are the same. A device allocator counts bytes that tensors take,
and two runs differ only where a library chose another workspace; resident memory of 68 processes of two
identical trainings spread over 0.7 % (two-core CPU)."""


def place_of(*rows: Row) -> Literal["device", "host"] | None:
    """Return where peaks of all these rows were taken."""
    if all(row.peak_allocated_bytes for row in rows):
        return "device"
    device = any(row.peak_allocated_bytes for row in rows)
    return "host" if not device and all(row.peak_rss_bytes for row in rows) else None


def memory_ratio(old: Side | None, new: Side | None) -> float | None:
    """Return the peak of NEW ÷ OLD; None where one of them is not known."""
    if old is None or new is None or not old.peak_bytes or not new.peak_bytes:
        return None
    return new.peak_bytes / old.peak_bytes if old.status == new.status == "ok" else None


def memory_outcome(ratio: float) -> MemoryOutcome:
    """Judge peak memory of NEW ÷ OLD."""
    if ratio > 1 + MEMORY_SAME_WITHIN:
        return "more"
    return "less" if ratio < 1 / (1 + MEMORY_SAME_WITHIN) else "same"
