"""What rules and judge compute and say alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from perfkit import units
from perfkit.diagnosis.evidence import Attribution, Evidence, Growth, OwnWork
from perfkit.stats import Interval


def is_sure(interval: Interval | None) -> bool:
    """Whether an interval lies above nothing; one without bounds is taken by its value."""
    if interval is None:
        return False
    return (interval.value if interval.low is None else interval.low) > 0


def together(found: Attribution, parts: Iterable[str]) -> Interval | None:
    """Return what an epoch saves without several parts; None where none of them is known.

    The parts are measured apart: half-widths add up as their squares do.
    """
    known = [found.removable_s[part] for part in parts if part in found.removable_s]
    if not known:
        return None
    value = min(sum(one.value for one in known), found.epoch_s)
    lows = [one.value - one.low for one in known if one.low is not None]
    highs = [one.high - one.value for one in known if one.high is not None]
    if not lows:
        return Interval(value)
    low, high = value - math.hypot(*lows), value + math.hypot(*highs)
    return Interval(value, max(0.0, low), min(high, found.epoch_s))


def with_spread(interval: Interval) -> str:
    """Return seconds with half the width of their interval: `23.0 ± 1.2 ms`."""
    unit = units.time_unit([interval.value])
    half = interval.half_width
    scaled = None if half is None else half / unit[0]
    return f"{units.with_error(interval.value / unit[0], scaled)} {unit[1]}"


def listed(names: Iterable[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def workers(count: int) -> str:
    """Return `1 worker`, `2 workers`."""
    return f"{count} worker{'' if count == 1 else 's'}"


def made_in(making: Mapping[str, OwnWork], what: str = "that") -> str:
    """Say what the making of batches, or what it is called there, was mostly seen in."""
    name, work = next(iter(making.items()))
    return f"{units.share(work.share)} of {what} was seen in {own(name)}{mostly_in(work)}."


def handed_over(evidence: Evidence, wait_s: float) -> list[str]:
    """Say where batches are waited for that the script has made by a thread or process of its own.

    Args:
        wait_s: by a mean step.
    """
    name, work = next(iter(evidence.waited.items()))
    told = [
        f"The training was seen to wait {units.seconds(wait_s)} of a mean step for another thread or process,"
        f" {units.share(work.share)} of it in {own(name)}{mostly_in(work)}."
    ]
    if evidence.making:
        told.append(made_in(evidence.making, "that thread's time meanwhile"))
    return told


def maker(evidence: Evidence) -> str | None:
    """Return the function that batches are made in, else that they are waited for in."""
    return function_of(evidence.making) or function_of(evidence.waited)


MOSTLY = 0.5
"""A function that more of some time was seen in names it."""


def taken_by(works: Mapping[str, OwnWork]) -> tuple[str, float] | None:
    """Return the function that more than half of some time was seen in, and its share; None where none was.

    The innermost that is, with its line: `augment (data.py:12)`.
    """
    for name, work in works.items():
        function, comma, place = (work.inner or "").rpartition(", ")
        if comma and (work.inner_share or 0.0) > MOSTLY:
            return f"{function} ({place})", work.inner_share or 0.0
        if work.share > MOSTLY:
            return name, work.share
    return None


def function_of(works: Mapping[str, OwnWork]) -> str | None:
    """Return the function that `taken_by` names."""
    taken = taken_by(works)
    return None if taken is None else taken[0]


def is_special(name: str) -> bool:
    """Return whether a name is that of a special method, as `__getitem__ (data.py:31)`."""
    return name.partition(" (")[0].rpartition(".")[2].startswith("__")


def own(name: str) -> str:
    """Return a name of the user's own as a sentence has it, its place outside: "`augment` (train.py:88)"."""
    function, place, rest = name.partition(" (")
    return f"`{function}`{place}{rest}"


def mostly_in(work: OwnWork | None) -> str:
    """Say which function most of some work is in, or what its parts are; empty where neither is known."""
    if work is None:
        return ""
    if work.inner is not None:
        return f", most of it in {work.inner}"
    parts = [f"{units.share(part)} {where}" for where, part in work.parts.items()]
    return f": {'; '.join(parts)}" if parts else ""


def of_long_forward(evidence: Evidence) -> str:
    """Say what a forward that takes longer than its backward was seen in."""
    phases = [evidence.row.phases_s[name] for name in ("forward", "backward")]
    unit = units.time_unit(phases)
    forward, backward = (units.seconds(one, unit) for one in phases)
    name, work = next(iter(evidence.long_forward.items()))
    return (
        f"Forward takes {forward} of a step and backward, usually twice as long, {backward};"
        f" {units.share(work.share)} of forward was seen in {own(name)}{mostly_in(work)}."
    )


def of_growth(growth: Growth) -> str:
    """Say how steps get longer."""
    unit = units.time_unit([growth.last_s])
    first, last = (units.seconds(one, unit) for one in (growth.first_s, growth.last_s))
    where = "outside of all phases" if growth.part == "other" else f"in {growth.part}"
    return (
        f"Steps get longer while it trains: {first} at the beginning and {last} at the end of what was seen;"
        f" {units.share(growth.part_share)} of what they grow by is {where}."
    )
