"""What is not the same in two runs besides their figures, and how far each can be trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfkit.comparison import Difference, DifferenceOf
from perfkit.document import Document, Note

MEMORY_WITHIN = 0.01
"""The memory that a kernel reports differs by less from boot to boot of one machine."""
_TRUST = ("disturbed", "too_few_generations")
"""Warnings of a run that say how far its figures can be trusted: they hold for the comparison, too."""


def differences(old: Document, new: Document) -> tuple[Difference, ...]:
    """Return everything that differs in environment and settings, in NEW's order."""
    before, after = _flat(old.environment), _flat(new.environment)
    kinds: dict[DifferenceOf, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "environment": (before, after),
        "settings": (old.base, new.base),
    }
    if _near(before.get("memory_bytes"), after.get("memory_bytes")):
        before["memory_bytes"] = after["memory_bytes"]
    return tuple(
        Difference(of=of, name=name, old=was.get(name), new=now.get(name))
        for of, (was, now) in kinds.items()
        for name in [*now, *(name for name in was if name not in now)]
        if was.get(name) != now.get(name)
    )


def warnings(old: Document, new: Document, found: tuple[Difference, ...]) -> tuple[Note, ...]:
    """Return what a reader must know before the figures: differences, unfinished and disturbed runs."""
    of = {"environment": "another environment", "settings": "other settings"}
    notes = [
        Note(
            code=f"other_{one.of}",
            text=f"{of[one.of]}: {one.name} was {_shown(one.old)}, is {_shown(one.new)}",
        )
        for one in found
    ]
    for name, document in (("OLD", old), ("NEW", new)):
        if not document.complete:
            notes.append(Note(code="not_complete", text=f"{name} was interrupted"))
        notes += [
            Note(code=note.code, text=f"{name}: {note.text}")
            for note in document.warnings
            if note.code in _TRUST
        ]
    return tuple(notes)


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with its variables one by one, without reasons for what is missing."""
    flat = {k: v for k, v in environment.items() if k not in ("variables", "unavailable")}
    variables = environment.get("variables")
    return flat | (dict(variables) if isinstance(variables, dict) else {})


def _near(old: Any, new: Any) -> bool:
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)):
        return False
    return abs(old - new) <= MEMORY_WITHIN * max(abs(old), abs(new))


def _shown(value: Any) -> str:
    if value is None:
        return "not there"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
