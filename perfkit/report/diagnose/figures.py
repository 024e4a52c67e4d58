"""Numbers of a diagnosis as text: shares and seconds with their intervals, and steps of an epoch."""

from __future__ import annotations

from perfkit import units
from perfkit.document import Document
from perfkit.stats import Interval


def epoch_s(document: Document) -> float | None:
    """Return the wall clock of an epoch that was attributed; the forecast where none was; else None."""
    diagnosis = document.diagnosis
    total = sum(diagnosis.breakdown_s.values()) if diagnosis is not None else 0.0
    if total > 0:
        return total
    forecast = document.rows[0].epoch_time_s if document.rows else None
    return None if forecast is None else forecast.value


def step_s(document: Document) -> float | None:
    """Return the mean seconds of a step; None where it is not known."""
    total = sum(document.rows[0].phases_s.values()) if document.rows else 0.0
    return total if total > 0 else None


def steps(document: Document) -> float | None:
    """Return how many steps an epoch has, by its seconds and a step's; None where it is not known."""
    each_s = step_s(document)
    all_s = document.rows[0].epoch_parts_s.get("steps") if document.rows else None
    return all_s / each_s if each_s and all_s and all_s > 0 else None


def epoch_unit(document: Document) -> units.Unit:
    """Return the unit that seconds of an epoch are told in: that of the whole."""
    return units.time_unit([epoch_s(document)])


def share(interval: Interval) -> str:
    """Format a share with half its interval: `61.2 ± 1.3 %`."""
    half = interval.half_width
    if half is None:
        return units.share(interval.value)
    return f"{units.with_error(100 * interval.value, 100 * half)} %"


def seconds(interval: Interval, unit: units.Unit) -> str:
    """Format seconds with half their interval: `17.2 ± 0.7 s`."""
    half = interval.half_width
    scaled = units.with_error(interval.value / unit[0], None if half is None else half / unit[0])
    return f"{scaled} {unit[1]}"


def span(interval: Interval, unit: units.Unit) -> str:
    """Format seconds with the ends of their interval, which need not lie symmetrically."""
    scale, name = unit
    half = interval.half_width
    if interval.low is None or interval.high is None or half is None:
        return f"{units.significant(interval.value / scale)} {name}"
    if units.is_negligible(interval.value, half):
        return f"{units.significant(interval.value / scale)} {name}"
    decimals = units.error_decimals(half / scale)
    low, value, high = (
        f"{one / scale:.{decimals}f}" for one in (interval.low, interval.value, interval.high)
    )
    return f"{value} {name} [{low}–{high}]"


def part_of_epoch(value: float | None, total: float) -> str:
    """Format a part as a share of a whole; what is there is not rounded to nothing."""
    if value is None or total <= 0:
        return units.MISSING
    part = value / total
    return f"< {units.share(0.01)}" if 0 < part < 0.005 else units.share(part)


def fixed(value: float | None, total: float, scale: float) -> str:
    """Format a part of a whole with the decimals that give the whole four digits, for a column of them."""
    if value is None:
        return units.MISSING
    decimals = max(0, 4 - len(f"{abs(total) / scale:.0f}"))
    # + 0.0 turns a rounded -0.0 into 0.0
    rounded = round(value / scale, decimals) + 0.0
    if value > 0 and rounded == 0:
        return f"< {10.0**-decimals:.{decimals}f}"
    return f"{rounded:.{decimals}f}"
