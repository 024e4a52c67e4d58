"""A diagnosis as columns of its row in a flat table: runs that were diagnosed can be held against each other.

A verdict's columns are named by its kind and a remedy's by its name; witnesses and lines to paste are text to
read, and stay with the Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from perfkit.document import Diagnosis
from perfkit.report.columns import plain
from perfkit.stats import Interval

T = TypeVar("T")
Cells = dict[str, str | int | float | None]


def cells(diagnosis: Diagnosis | None) -> Cells:
    """Return columns and values; none for a document without a diagnosis."""
    if diagnosis is None:
        return {}
    found: Cells = {
        "primary": plain(diagnosis.primary),
        "inconclusive_because": _text(diagnosis.inconclusive_because),
    }
    found |= {f"breakdown_{plain(name)}_s": s for name, s in diagnosis.breakdown_s.items()}
    for name, interval in diagnosis.differential_s.items():
        found |= _interval(f"differential_{plain(name)}", interval, "_s")
    for name in ("loader", "compute", "actual"):
        found[f"{name}_samples_per_sec"] = getattr(diagnosis, f"{name}_samples_per_sec")
    found["workers_needed"] = diagnosis.workers_needed
    for name, verdict in _named((one.kind, one) for one in diagnosis.verdicts):
        head = f"verdict_{name}"
        found[f"{head}_stage"] = _text(verdict.stage)
        found[f"{head}_where"] = _text(verdict.where)
        found[f"{head}_flags"] = _text("; ".join(verdict.flags))
        found[f"{head}_severity"] = verdict.severity
        found |= _interval(f"{head}_share", verdict.share)
        found[f"{head}_seconds_per_epoch"] = verdict.seconds_per_epoch
        found |= _interval(f"{head}_removable", verdict.removable_s, "_s")
    for name, remedy in _named((one.name, one) for one in diagnosis.remedies):
        head = f"remedy_{name}"
        found[f"{head}_variant"] = _text(remedy.variant)
        found[f"{head}_basis"] = remedy.basis
        found |= _interval(f"{head}_predicted_speedup", remedy.predicted_speedup)
        found |= _interval(f"{head}_measured_speedup", remedy.measured_speedup)
        found |= _interval(f"{head}_saves", remedy.saves_s, "_s")
    why = (f"{plain(name)}={plain(reason)}" for name, reason in diagnosis.unavailable.items())
    found["unavailable"] = _text("; ".join(why))
    return {f"diagnosis_{name}": value for name, value in found.items()}


def _interval(head: str, found: Interval | None, unit: str = "") -> Cells:
    """The value has the name itself, its bounds stand beside it."""
    return {
        f"{head}{unit}": None if found is None else found.value,
        f"{head}_low{unit}": None if found is None else found.low,
        f"{head}_high{unit}": None if found is None else found.high,
    }


def _named(found: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    """Names that no other column has: the second of a name is `name_2`."""
    seen: dict[str, int] = {}
    named = []
    for said, one in found:
        name = plain(said)
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name}_{seen[name]}", one))
    return named


def _text(said: str | None) -> str | None:
    return plain(said) or None if said else None
