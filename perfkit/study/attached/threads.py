"""Batches that another thread fetches than the one that trains with them. Pure.

It puts them into a queue mostly. What the training waits for that queue is no wait for a loader: where its
stack did not show it (`handed.py`) it is unknown, not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfkit.document import Row
from perfkit.engine.results import ProcessResult
from perfkit.study.attached.loop import Loop
from perfkit.study.attached.passes import NO_LOADER, Place
from perfkit.study.attached.read import Recorded

WAITS = ("data_wait", "waiting", "transfer")
"""Parts of a step, and of an epoch, that are waits for batches."""


def fetched_elsewhere(recorded: Recorded, loop: Loop) -> list[Place]:
    """Return the loaders that other threads fetch from, if it is not known what steps wait for them."""
    if loop.main.number != NO_LOADER or loop.waited:
        return []
    numbers = dict.fromkeys(one["loader"] for one in recorded.told("other_thread"))
    return [loop.passes.place(number) for number in numbers]


def waits_unseen(recorded: Recorded, loop: Loop) -> str | None:
    """Return why it is not known what the steps waited for their batches, as a code; None where it is."""
    if at_once(recorded):
        return "threads_at_once"
    if loop.main.number != NO_LOADER or loop.waited:
        return None
    return "other_thread" if fetched_elsewhere(recorded, loop) else "no_loader"


def row_without_waits(row: Row, reason: str) -> Row:
    """Return a row whose steps had no loader: what they waited for is unknown, though recorded as nothing."""
    return replace(
        row,
        exposed_wait_s=None,
        phases_s=_others(row.phases_s),
        unavailable={**row.unavailable, "exposed_wait_s": reason},
    )


def without_waits(process: ProcessResult) -> ProcessResult:
    """Return a process of which it is not known what its steps waited for their batches."""
    blocks = tuple(
        replace(block, exposed_wait_s=None, waits_s=(), phases_s=_others(block.phases_s))
        for block in process.blocks
    )
    return replace(process, blocks=blocks, phases_s=_others(process.phases_s))


def _others(phases_s: Mapping[str, float]) -> dict[str, float]:
    return {name: seconds for name, seconds in phases_s.items() if name not in WAITS}


AT_ONCE = (
    "two threads of this process train at a time: one alone is followed, and what its steps take is the other"
    " one's doing as well; run each training in a process of its own"
)
"""Why nothing is said of a process in which that is so."""


def at_once(recorded: Recorded) -> bool:
    """Whether two threads were seen to train at a time."""
    return bool(recorded.told("threads_at_once"))


def words(places: Sequence[Place]) -> str:
    """Return what is not known where another thread fetches the batches, and what to do about it."""
    lines = " and ".join(place.where or "a line that is not known" for place in places)
    return (
        f"the batches come from another thread, which iterates at {lines}: an update is a step, and what the"
        " training waits for its batches is not known; for batch in perfkit.watch(iter(queue.get, None)):"
        " times that"
    )
