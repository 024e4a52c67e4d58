"""The epoch as a tree of times: its steps and what they consist of, what lies between them, and the rest.

A mark stands at the line that decided. Parts of exactly no time are left out; a part that should be there and
was not measured has a dash, and its reason is told with the other reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfkit.document import Document, Verdict
from perfkit.report.columns import plain
from perfkit.report.diagnose.kinds import (
    BETWEEN,
    RESIDUAL,
    STEP_PARTS,
    kind_of,
    primary_of,
    title,
)

_NOT_MISSED = ("not_applicable", "not_asked", "not_supported")
"""Reasons for which a part has no line: there is nothing of it here."""
_NO_TASKS = ("steps", "partial_batch", "epoch_start", "evaluation")
"""Parts of a forecast that are no periodic task."""
_SAME_WITHIN = 0.02
_ALIASES = {"evaluation": "eval"}
"""Stages that are called otherwise as parts."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A line of the tree."""

    name: str
    seconds: float | None
    """None: it was not measured."""
    depth: int
    """0 is the epoch itself."""
    lead: str = ""
    """The branches to its left, drawn."""
    decided: bool = False
    """The primary verdict was read from it."""

    @property
    def words(self) -> str:
        """What it is called: a task of the user's own as it is, for an underscore belongs to its name."""
        of_ours = self.depth < 2 or self.name in STEP_PARTS
        return title(self.name) if of_ours else plain(self.name)


def tree(document: Document) -> list[Branch]:
    """Return the lines of the tree, the epoch itself first; none where nothing was attributed."""
    diagnosis = document.diagnosis
    if diagnosis is None or sum(diagnosis.breakdown_s.values()) <= 0:
        return []
    parts = diagnosis.breakdown_s
    within = _present(parts, diagnosis.unavailable, STEP_PARTS)
    unknown = {n: s for n, s in parts.items() if n not in (*STEP_PARTS, *BETWEEN, RESIDUAL)}
    steps_s = sum(s for s in within.values() if s is not None)
    children: dict[str, tuple[float | None, Mapping[str, float | None]]] = {}
    if within:
        children["steps"] = (steps_s, within)
    for name, seconds in _present(parts, diagnosis.unavailable, BETWEEN).items():
        tasks = _tasks(document, seconds) if name == "periodic" else {}
        children[name] = (seconds, tasks)
    children |= {name: (seconds, {}) for name, seconds in unknown.items()}
    if RESIDUAL in parts:
        children[RESIDUAL] = (parts[RESIDUAL], {})
    decided = _decided(primary_of(diagnosis), children)
    found = [Branch(name="epoch", seconds=sum(parts.values()), depth=0)]
    for name, (seconds, below) in children.items():
        last = name == list(children)[-1]
        found.append(
            Branch(
                name=name,
                seconds=seconds,
                depth=1,
                lead="└─ " if last else "├─ ",
                decided=decided == name,
            )
        )
        for child, child_s in below.items():
            lead = ("   " if last else "│  ") + ("└─ " if child == list(below)[-1] else "├─ ")
            found.append(
                Branch(name=child, seconds=child_s, depth=2, lead=lead, decided=decided == child)
            )
    return found


def _present(
    parts: Mapping[str, float], missing: Mapping[str, str], names: tuple[str, ...]
) -> dict[str, float | None]:
    """The parts that took time, and those that should be there and were not measured."""
    found: dict[str, float | None] = {}
    for name in names:
        if parts.get(name, 0.0) != 0:
            found[name] = parts[name]
        elif name not in parts and missing.get(name, _NOT_MISSED[0]) not in _NOT_MISSED:
            found[name] = None
    return found


def _tasks(document: Document, periodic_s: float | None) -> dict[str, float | None]:
    """Periodic work task by task, where the forecast's tasks are what was attributed to it."""
    forecast = document.rows[0].epoch_parts_s if document.rows else {}
    tasks = {n: s for n, s in forecast.items() if n not in _NO_TASKS and s > 0}
    if not periodic_s or abs(sum(tasks.values()) / periodic_s - 1) > _SAME_WITHIN:
        return {}
    return {name: tasks[name] for name in sorted(tasks, key=tasks.__getitem__, reverse=True)}


def _decided(
    verdict: Verdict | None,
    children: Mapping[str, tuple[float | None, Mapping[str, float | None]]],
) -> str | None:
    """The line that the primary verdict was read from: its stage where that has one, else its largest."""
    if verdict is None:
        return None
    lines = {name: seconds for name, (seconds, _) in children.items()}
    lines |= {name: seconds for _, below in children.values() for name, seconds in below.items()}
    stage = _ALIASES.get(verdict.stage or "", verdict.stage)
    if stage in lines:
        return stage
    own = {name: lines[name] or 0.0 for name in kind_of(verdict).parts if name in lines}
    if verdict.kind == "input_bound" and "waiting" in own:
        # every stage but `transfer` is what keeps a batch from being there
        return "waiting"
    return max(own, key=lambda name: own[name], default=None)
