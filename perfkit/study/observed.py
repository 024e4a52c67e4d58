"""Telemetry of a study, row by row: averaged over what each row had the device for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfkit.engine.results import GenerationResult
from perfkit.study.rows import Averages, windows
from perfkit.telemetry import windows as telemetry

Average = Callable[[Sequence[tuple[int, int]]], telemetry.WindowMeans]


def averages(results: Sequence[GenerationResult], average: Average) -> Averages:
    """Return the telemetry of the measured blocks of every row that ran, and why any of it is missing."""
    found = {}
    for key in dict.fromkeys(p.key for r in results for p in r.processes):
        one = average(windows(key, results))
        found[key] = (one.values, one.unavailable)
    return found
