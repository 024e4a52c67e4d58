"""Telemetry of a study, row by row: averaged over what each row had the device for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfkit.engine.plan import RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.study.rows import Averages, windows
from perfkit.telemetry import windows as telemetry

Average = Callable[[Sequence[tuple[int, int]]], telemetry.Averages]


def averages(
    planned: Sequence[RowPlan], results: Sequence[GenerationResult], average: Average
) -> Averages:
    """Return the telemetry of every row's measured blocks, and why any of it is missing."""
    found = {}
    for row in planned:
        one = average(windows(row, results))
        found[row.key] = (one.values, one.unavailable)
    return found
