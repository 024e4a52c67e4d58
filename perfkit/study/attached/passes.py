"""What a process's batches were fetched for, told afterwards: passes that trained, and evaluations. Pure.

A step is one batch fetched by a pass in which a backward happened (an iteration over a loader is a pass).
A pass without one is an evaluation. Batches of a companion, fetched together with another pass's (`zip` of
two loaders), are no steps. Where nothing was trained through a loader an update is a step; where something
was, updates outside it are none, unless they are more: then the loader gave batches that were used over and
over (`itertools.cycle`), or only looked at. Backwards without an update, of their own or amid them, are an
evaluation that needs gradients, where there are updates at all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfkit.records import StepRecord
from perfkit.study.attached.read import Recorded

NO_LOADER = -1
"""Number of the pass, and of the place, of steps that came without a loader."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A loader by the line that iterates it; one that is made anew for every epoch there is one loader."""

    number: int
    where: str | None = None
    """file:line, the file relative to the working directory where it lies below it."""
    dataset: str | None = None
    """Name of the dataset's class."""
    num_workers: int = 0
    batch_size: int | None = None
    prefetch_factor: int | None = None
    persistent_workers: bool = False
    pin_memory: bool = False
    start_method: str | None = None
    samples: int | None = None
    batches: int | None = None
    """Of a pass, as `len(loader)` has it; None where it has none."""
    iterable: bool = False
    own: bool = False
    """It is no DataLoader, but batches of the script's own (`perfkit.watch`)."""
    made_anew: bool = False
    """A new DataLoader is made for nearly every pass: its workers do not stay, whatever it was told."""
    sharded: bool | None = None
    """Of an iterable dataset: whether it asked which worker it is; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One iteration over a loader, and the batches that it fetched."""

    number: int
    place: int
    began_ns: int
    """`perf_counter_ns` when the loader was asked for an iterator."""
    iter_s: float
    """Seconds until it gave one, which starts its workers."""
    steps: tuple[StepRecord, ...]
    trained: bool
    first_ns: int = 0
    """When the first step began that has a batch of it; of a companion a step of the pass beside it."""
    companion: int | None = None
    """The pass together with whose batches its own were fetched."""
    joined_s: float = 0.0
    """What those of its batches were waited for that are in another pass's steps."""
    workers: frozenset[int] = frozenset()
    """Process ids of those that made its batches."""
    ended_ns: int | None = None
    """When it was found to be exhausted; None while it goes on, and where it was left."""

    @property
    def exhausted(self) -> bool:
        """Whether it came to the end of its loader."""
        return self.ended_ns is not None


@dataclass(frozen=True, kw_only=True)
class Passes:
    """The passes of a process in the order in which they began, and the loaders that they went over."""

    places: tuple[Place, ...]
    passes: tuple[Pass, ...]

    @property
    def training(self) -> list[Pass]:
        """Return the passes whose batches are steps: that without a loader only where it has most of them."""
        trained = [one for one in self.passes if one.trained and one.steps]
        loaders = [one for one in trained if one.place != NO_LOADER]
        count = sum(len(one.steps) for one in loaders)
        outside = sum(len(one.steps) for one in trained) - count
        return trained if outside > count else loaders

    @property
    def evaluation(self) -> list[Pass]:
        """Return the passes over loaders in which nothing was trained."""
        return [
            one
            for one in self.passes
            if one.steps and not one.trained and one.place != NO_LOADER and one.companion is None
        ]

    @property
    def beside(self) -> list[Pass]:
        """Return the passes whose batches went into other passes' steps, and none into steps of their own."""
        alone = (one for one in self.passes if not one.trained)
        return [one for one in alone if one.companion is not None or not one.steps]

    def workers_of(self, place: int | None) -> frozenset[int]:
        """Return the process ids of a loader's workers; of every loader's where that is None."""
        over = (one for one in self.passes if place in (None, one.place))
        return frozenset().union(*(one.workers for one in over))

    def place(self, number: int) -> Place:
        """Return a loader by its number; of one that was not told only that is known."""
        return next((p for p in self.places if p.number == number), Place(number=number))


def passes_of(recorded: Recorded) -> Passes:
    """Return the passes of a process, each labelled by what happened in it."""
    by_pass: dict[int, list[StepRecord]] = {}
    for step in recorded.steps:
        by_pass.setdefault(step.block, []).append(step)
    begun = {one["pass"]: one for one in recorded.told("pass") if _is_whole(one.get("pass"))}
    ended = {one["pass"]: one for one in recorded.told("pass_end") if _is_whole(one.get("pass"))}
    numbers = dict.fromkeys([*begun, *by_pass])
    found = [
        _pass(n, begun.get(n, {}), ended.get(n, {}), sorted(by_pass.get(n, ()), key=_start))
        for n in numbers
    ]
    return Passes(
        places=tuple(_places(recorded.told("loader"), begun.values())),
        passes=tuple(sorted(_told_apart(_with_first(found)), key=lambda one: one.began_ns)),
    )


def _start(step: StepRecord) -> int:
    return step.start_ns


def _pass(
    number: int, begun: dict[str, Any], ended: dict[str, Any], steps: Sequence[StepRecord]
) -> Pass:
    iter_s = max(0.0, float(begun.get("iter_s") or 0.0))
    began_ns = begun.get("t_ns", steps[0].start_ns if steps else 0) - int(iter_s * 1e9)
    # updates alone tell it where gradients came without a backward that could be seen
    trained = any(step.backwards > 0 or step.updates > 0 for step in steps)
    return Pass(
        number=number,
        place=begun.get("loader", NO_LOADER) if number != NO_LOADER else NO_LOADER,
        began_ns=began_ns,
        iter_s=iter_s,
        steps=tuple(steps),
        # a companion whose steps have backwards goes on where the pass beside it is over (`itertools.cycle`)
        trained=trained,
        companion=ended.get("companion"),
        joined_s=float(ended.get("joined_s") or 0.0),
        workers=frozenset(pid for pid in begun.get("workers", ()) if _is_whole(pid)),
        ended_ns=ended.get("t_ns") if ended.get("exhausted") else None,
    )


def _with_first(found: Sequence[Pass]) -> list[Pass]:
    """The passes, each with when its first step began."""
    own = {one.number: one.steps[0].start_ns for one in found if one.steps}
    return [
        replace(one, first_ns=min(own[n] for n in (one.number, one.companion) if n in own))
        if one.steps
        else one
        for one in found
    ]


def _told_apart(found: Sequence[Pass]) -> list[Pass]:
    """The passes, those that have backwards for an evaluation's sake among the evaluations."""
    updates = sorted(step.start_ns for one in found for step in one.steps if step.updates > 0)
    if not updates:  # none could be seen
        return list(found)
    updated = {
        one.place
        for one in found
        if one.steps
        and bisect_left(updates, one.steps[0].start_ns)
        < bisect_right(updates, one.steps[-1].start_ns)
    }
    return [replace(one, trained=one.trained and one.place in updated) for one in found]


def _places(told: Iterable[dict[str, Any]], begun: Iterable[dict[str, Any]]) -> Iterable[Place]:
    """The loaders; of one that was told twice what was told last."""
    known = Place.__dataclass_fields__
    objects: dict[Any, list[int]] = {}
    for one in begun:
        objects.setdefault(one.get("loader"), []).append(one.get("object") or 1)
    found = {}
    for one in told:
        if _is_whole(one.get("loader")):
            facts = {k: v for k, v in one.items() if k in known and v is not None}
            of_passes = objects.get(one["loader"], [])
            anew = max(of_passes, default=1) > max(1, len(of_passes) // 2)
            found[one["loader"]] = Place(**{**facts, "number": one["loader"], "made_anew": anew})
    return found.values()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
