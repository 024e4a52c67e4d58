"""`perfkit compare`: two stored answers, row by row. Pure.

Epoch times of two runs are two independent samples, one value per generation: Welch's t on their
logarithms. What befell the machine between the runs is in that ratio and not in its interval. Where both
runs hold the same reference, each row's speed-up against it is compared instead: the reference ran in
turns with the row, so whatever befell both cancels, and only how far the reference itself moved is left
to tell, in the reference's own row.

A script that was watched (`perfkit run`) is one process: its values are windows of its steps from the second
epoch on, and neighbouring windows are alike. They count as so many as they are worth
(`perfkit.stats.effective_sizes`), and there is no reference: the rows are ranks of one training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from perfkit.comparison import (
    ComparedRow,
    Comparison,
    MemoryOutcome,
    Side,
    Source,
)
from perfkit.document import Document, Note, Row, Speedup
from perfkit.errors import UsageError
from perfkit.stats import MIN_GENERATIONS, effective_sizes, outcome, welch_ratio
from perfkit.study.differences import differences, warnings
from perfkit.study.gate import Gate, tripped

ATTACHED = "run"
"""Kind of a Document whose rows hold windows of one process in the place of generations."""
_WORTH = ", as many as their autocorrelation leaves of them"
MEMORY_SAME_WITHIN = 0.02
"""Peaks have no interval: this close they are the same. A device allocator counts bytes that tensors take,
and two runs differ only where a library chose another workspace; resident memory of 68 processes of two
identical trainings spread over 0.7 % (two-core CPU)."""


def compare(
    old: Document,
    new: Document,
    *,
    names: tuple[str, str],
    command: str,
    created: str,
    gates: tuple[Gate, ...] = (),
) -> Comparison:
    """Hold two answers against each other.

    Args:
        names: what the user called OLD and NEW.
        command, created: of the comparison.
        gates: what is to be reported as tripped.

    Raises:
        UsageError: they have no row in common.
    """
    same_study = _same_study(old, new)
    reference = None if same_study else _shared_reference(old, new)
    before = {row.key: row for row in old.rows}
    after = {row.key: row for row in new.rows}
    if not before.keys() & after.keys():
        raise UsageError(
            f"{names[0]} has no row of {names[1]}: {', '.join(before)} against {', '.join(after)}",
            hint="compare two runs of the same rows",
        )
    watched = new.kind == ATTACHED
    keys = [*after, *(key for key in before if key not in after)]
    compared = tuple(
        _compared(before.get(key), after.get(key), reference, same_study, watched) for key in keys
    )
    values = f"windows of steps{_WORTH}" if watched else "generations"
    different = differences(old, new)
    return Comparison(
        kind="compare",
        command=command,
        created=created,
        environment=new.environment,
        base=new.base,
        old=_source(names[0], old),
        new=_source(names[1], new),
        reference=reference,
        same_study=same_study,
        compared=compared,
        differences=different,
        gates=tuple(map(str, gates)),
        tripped=tripped(gates, compared),
        method={
            "interval": f"95 %, Welch's t over {values}, {MIN_GENERATIONS} or more of each run",
            "memory_same_within_share": MEMORY_SAME_WITHIN,
        },
        warnings=warnings(old, new, different),
        unavailable={} if reference or same_study else {"against_reference": _unshared(old, new)},
    )


def _source(name: str, document: Document) -> Source:
    return Source(name=name, command=document.command, created=document.created)


def _same_study(old: Document, new: Document) -> bool:
    """Whether both are one study, perhaps at two moments of it: then no times are independent."""
    if (old.command, old.created, old.environment) != (new.command, new.created, new.environment):
        return False
    if new.kind == ATTACHED:
        # its windows are cut anew at every moment
        return True
    after = {row.key: row.generation_epoch_time_s for row in new.rows}
    pairs = [(row.generation_epoch_time_s, after.get(row.key, ())) for row in old.rows]
    return all(all(x == y for x, y in zip(a, b, strict=False)) for a, b in pairs)


def _shared_reference(old: Document, new: Document) -> str | None:
    return None if _unshared(old, new) else new.rows[0].key


def _unshared(old: Document, new: Document) -> str:
    """Say why the runs have no reference in common, as a reason code; empty when they have one."""
    ours, theirs = new.rows[0], old.rows[0]
    if ATTACHED in (old.kind, new.kind):
        return "attached"
    if len(old.rows) < 2 or len(new.rows) < 2:
        return "one_row"
    if ours.key != theirs.key:
        return "other_reference"
    if old.base != new.base:
        return "other_settings"
    return "" if _logs(ours) and _logs(theirs) else "reference_failed"


def _compared(
    old: Row | None,
    new: Row | None,
    reference: str | None,
    same_study: bool,
    watched: bool,
) -> ComparedRow:
    row = new or old
    assert row is not None
    head: dict[str, Any] = {"key": row.key, "arch": row.arch, "variant": row.variant}
    if old is None or new is None:
        reason = "only_in_new" if old is None else "only_in_old"
        return ComparedRow(
            **head,
            old=_side(old, _place(row)),
            new=_side(new, _place(row)),
            unavailable=dict.fromkeys(("speedup", "against_reference", "memory_ratio"), reason),
        )
    unavailable: dict[str, str] = {}
    if same_study:
        ok = old.status == new.status == "ok"
        direct, relative = (_unchanged() if ok else None), None
        unavailable["against_reference"] = "same_study"
    else:
        direct = _speedup(_logs(old), _logs(new), watched)
        relative = _relative(old, new) if reference not in (None, row.key) else None
        if relative is None:
            unavailable["against_reference"] = "reference" if row.key == reference else "no_data"
    if direct is None:
        unavailable["speedup"] = next(
            (why for row in (new, old) if (why := row.unavailable.get("epoch_time_s"))), "no_data"
        )
    place = _place(old, new)
    ours, theirs = _side(new, place), _side(old, place)
    ratio = _memory_ratio(theirs, ours)
    if ratio is None:
        unavailable["memory_ratio"] = "no_data"
    return ComparedRow(
        **head,
        old=theirs,
        new=ours,
        speedup=direct,
        against_reference=relative,
        memory_on=place,
        memory_ratio=ratio,
        memory_outcome=None if ratio is None else memory_outcome(ratio),
        notes=_notes(old, new),
        unavailable=unavailable,
    )


def _speedup(old: Sequence[float], new: Sequence[float], watched: bool = False) -> Speedup | None:
    """Judge two samples of log epoch times.

    Args:
        watched: they are windows of one process each, in their order.
    """
    if not old or not new:
        return None
    interval = welch_ratio(old, new, sizes=_worth(old, new) if watched else None)
    judged = outcome(interval, min(len(old), len(new)))
    return Speedup(value=interval.value, low=interval.low, high=interval.high, outcome=judged)


def _worth(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    before, after = effective_sizes(old, new)
    return before, after


def _relative(old: Row, new: Row) -> Speedup | None:
    """Judge two samples of speed-ups against one reference."""
    before, after = (_logarithms(row.generation_speedup) for row in (old, new))
    # what is faster has the larger speed-up and the smaller time
    return _speedup([-log for log in before], [-log for log in after])


def _unchanged() -> Speedup:
    return Speedup(value=1.0, low=1.0, high=1.0, outcome="same")


def _logs(row: Row) -> list[float]:
    """Log epoch times of a row, one per generation; none where it failed."""
    return _logarithms(row.generation_epoch_time_s) if row.status == "ok" else []


def _logarithms(values: Sequence[float]) -> list[float]:
    return [math.log(v) for v in values] if all(v > 0 for v in values) else []


def _place(*rows: Row) -> Literal["device", "host"] | None:
    """Where peaks of all these rows were taken."""
    if all(row.peak_allocated_bytes for row in rows):
        return "device"
    device = any(row.peak_allocated_bytes for row in rows)
    return "host" if not device and all(row.peak_rss_bytes for row in rows) else None


def _side(row: Row | None, place: Literal["device", "host"] | None) -> Side | None:
    if row is None:
        return None
    peaks = {"device": row.peak_allocated_bytes, "host": row.peak_rss_bytes, None: None}
    return Side(
        status=row.status,
        message=row.message,
        epoch_time_s=row.epoch_time_s,
        generations=row.generations,
        peak_bytes=peaks[place],
    )


def _memory_ratio(old: Side | None, new: Side | None) -> float | None:
    if old is None or new is None or not old.peak_bytes or not new.peak_bytes:
        return None
    return new.peak_bytes / old.peak_bytes if old.status == new.status == "ok" else None


def memory_outcome(ratio: float) -> MemoryOutcome:
    """Judge peak memory of NEW ÷ OLD."""
    if ratio > 1 + MEMORY_SAME_WITHIN:
        return "more"
    return "less" if ratio < 1 / (1 + MEMORY_SAME_WITHIN) else "same"


def _notes(old: Row, new: Row) -> tuple[Note, ...]:
    """What a row's notes and its settings as torch tells them say on one side only."""
    found = []
    names = [*new.effective, *(name for name in old.effective if name not in new.effective)]
    if old.effective and new.effective:
        for name in names:
            was, now = old.effective.get(name), new.effective.get(name)
            if was != now:
                text = f"read back from torch: {name.replace('_', ' ')} was {was}, is {now}"
                found.append(Note(code="read_back_differs", text=text))
    for said, mine, others in (("now", new, old), ("before", old, new)):
        codes = {note.code for note in others.notes}
        found += [
            Note(code=note.code, text=f"{said}: {note.text}")
            for note in mine.notes
            if note.code not in codes
        ]
    return tuple(found)
