"""What is not the same in two runs besides their figures, and how far each can be trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfkit.comparison import Difference, DifferenceOf
from perfkit.document import Document, Note, Row

MEMORY_WITHIN = 0.01
"""The memory that a kernel reports differs by less from boot to boot of one machine."""
_LENGTH = "steps_per_epoch"
_TRUST = ("disturbed", "too_few_generations")
"""Warnings of a run that say how far its figures can be trusted: they hold for the comparison, too."""


def differences(old: Document, new: Document) -> tuple[Difference, ...]:
    """Return everything that differs in environment and settings, in NEW's order."""
    before, after = _flat(old.environment), _flat(new.environment)
    kinds: dict[DifferenceOf, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "environment": (before, after),
        "settings": (old.base, new.base),
    }
    if not all(_LENGTH in document.base for document in (old, new)):
        # an epoch whose end one of them has not seen is no shorter one
        kinds["settings"] = (_without_length(old.base), _without_length(new.base))
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


def notes(old: Row, new: Row) -> tuple[Note, ...]:
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


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with its variables one by one, without reasons for what is missing."""
    flat = {k: v for k, v in environment.items() if k not in ("variables", "unavailable")}
    variables = environment.get("variables")
    return flat | (dict(variables) if isinstance(variables, dict) else {})


def _without_length(base: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in base.items() if name != _LENGTH}


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
