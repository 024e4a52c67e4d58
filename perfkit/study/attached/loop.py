"""From the passes of a process to what its training loop spends its time on. Pure.

What is measured is the stretch from the second epoch on, where there is one: the first one has cold caches, a
queue that fills, and compiling in it. Until a second epoch has begun, the "epoch" is what was seen of the
first, its very first step taken apart, and nothing is said of what an epoch's start costs.

    epoch = steps × step + start of the epoch + evaluation + checkpoints + work between steps and epochs

The first step of each pass counts as a step, and what it takes longer than others as the start of an epoch.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from perfkit.diagnosis.evidence import Growth, OwnWork
from perfkit.records import StepRecord
from perfkit.study.attached import intervals
from perfkit.study.attached.between import Between
from perfkit.study.attached.growth import growth_of
from perfkit.study.attached.handed import handed
from perfkit.study.attached.hooks import hooks_in, without_hooks
from perfkit.study.attached.intervals import Intervals, end_of
from perfkit.study.attached.passes import NO_LOADER, Pass, Passes, Place
from perfkit.study.attached.read import Recorded
from perfkit.study.attached.work import (
    BETWEEN_STEPS,
    every_steps,
    named,
    outside_s,
    shorter,
    without_peaks,
)
from perfkit.study.seen import is_wait

LEAST_STEPS = 20
"""Fewer steps of later epochs are too few to stand for an epoch: those of the first are taken along."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A training loop that was watched. Seconds, of an epoch of `steps_per_epoch` steps."""

    passes: Passes
    main: Place
    """The loader whose passes are the epochs."""
    widest: Place
    """The loader that was waited for most."""
    steps: tuple[StepRecord, ...]
    """All that were seen, the first one among them."""
    steady: tuple[StepRecord, ...]
    """Those that stand for an epoch."""
    first: tuple[StepRecord, ...]
    """Those of the first epoch."""
    epochs_seen: int
    """Begun ones."""
    later: bool
    """Whether `steady` is of the second epoch and later ones."""
    steps_per_epoch: int
    start_s: float | None = None
    """What the start of an epoch takes beyond its steps; None before a second one has begun."""
    evaluation_s: float = 0.0
    work_s: Mapping[str, float] = field(default_factory=dict)
    """What is done besides, by name: `checkpoint`, work between steps and between epochs."""
    work: Mapping[str, OwnWork] = field(default_factory=dict)
    """What is known of it, by the same names."""
    untracked: Mapping[str, OwnWork] = field(default_factory=dict)
    """What was seen in the time of the steps that is in no phase."""
    waited: Mapping[str, OwnWork] = field(default_factory=dict)
    """Where the steps waited for a batch of another thread or process, if that was seen."""
    startup_s: Mapping[str, float] = field(default_factory=dict)
    """What the run pays once."""
    growth: Growth | None = None
    """How its steps get longer, if they do."""

    @property
    def from_ns(self) -> int:
        """When the steady steps began."""
        return self.steady[0].start_ns

    @property
    def to_ns(self) -> int:
        """When the last step that was seen ended."""
        return end_of(self.steps[-1])


def loop_of(recorded: Recorded, passes: Passes) -> Loop | None:
    """Return the training loop of a process; None where nothing was trained."""
    trained = passes.training
    steps = sorted((s for p in trained for s in p.steps), key=_start)
    if not steps:
        return None
    saving = intervals.saving(recorded.spans)
    evaluating = intervals.evaluating(passes.evaluation)
    main = max(_steps_of_place(trained).items(), key=lambda item: item[1])[0]
    # an iterator may be asked for long before it is used
    epochs = sorted((p for p in trained if p.place == main), key=lambda p: p.first_ns)
    per_epoch = _steps_per_epoch(steps, epochs)
    chosen, later = _steady(steps, {one.steps[0].start_ns for one in trained}, epochs)
    between = Between(steps, epochs, [*trained, *passes.beside], saving, evaluating)
    plain, hooked = without_hooks(recorded, _apart(chosen, saving, evaluating))
    given = handed(recorded, plain)
    steady, apart_s = without_peaks(given.steps)
    work_s = between.per_epoch(per_epoch)
    evaluation_s = work_s.pop("evaluation", 0.0)
    work_s[BETWEEN_STEPS] = work_s.get(BETWEEN_STEPS, 0.0) + apart_s * per_epoch
    whole = _apart(steps, saving, evaluating)
    samples = [
        *(one for one in recorded.told("stack") if not (given.waited and is_wait(one))),
        *(hooks_in(recorded) if hooked else ()),
    ]
    told = named(recorded, steady, work_s, per_epoch, len(steps), every_steps(whole), samples)
    steady = told.steps
    return Loop(
        passes=passes,
        main=passes.place(main),
        widest=passes.place(_widest(passes)),
        steps=tuple(steps),
        steady=tuple(steady),
        first=tuple(without_peaks(_apart(_first(steps, epochs), saving, evaluating))[0]),
        epochs_seen=len(epochs),
        later=later,
        steps_per_epoch=per_epoch,
        start_s=between.start_s(fmean(s.step_s for s in steady), {s.start_ns for s in steady}),
        evaluation_s=evaluation_s,
        work_s={name: seconds for name, seconds in told.work_s.items() if seconds > 0},
        work=told.work,
        untracked=told.untracked,
        waited=given.waited,
        startup_s=_startup_s(epochs, passes.place(main)),
        growth=growth_of(whole[:-1], between.after_s()),
    )


def _start(step: StepRecord) -> int:
    return step.start_ns


def _apart(
    steps: Sequence[StepRecord], saving: Intervals, evaluating: Intervals
) -> list[StepRecord]:
    """Steps without the checkpoints and the evaluations that fell into them.

    Their time is taken from what is in no phase, then from the time before the backward.
    """
    found = []
    for step in steps:
        end = end_of(step)
        inside_s = saving.within(step.start_ns, end) + evaluating.within(step.start_ns, end)
        if inside_s > 0:
            before_s = max(0.0, inside_s - outside_s(step))
            left_s = max(0.0, step.forward_s - before_s) if before_s else step.forward_s
            step = shorter(step, inside_s)._replace(forward_s=left_s)
        found.append(step)
    return found


def _steps_of_place(trained: Iterable[Pass]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for one in trained:
        counts[one.place] = counts.get(one.place, 0) + len(one.steps)
    return counts


def _widest(passes: Passes) -> int:
    """The loader that was waited for most, what of a step was another loader's told as that one's."""
    waits: dict[int, tuple[float, int]] = {}

    def add(place: int, waited_s: float, count: int) -> None:
        before_s, before = waits.get(place, (0.0, 0))
        waits[place] = before_s + waited_s, before + count

    trained = {one.number: one for one in passes.training}
    for one in trained.values():
        add(one.place, sum(step.data_wait_s for step in one.steps), len(one.steps))
    for one in passes.passes:
        beside = None if one.companion is None else trained.get(one.companion)
        if beside is not None:
            add(one.place, one.joined_s, 0)
            add(beside.place, -one.joined_s, 0)
    return max(waits, key=lambda place: waits[place])


def _steady(
    steps: Sequence[StepRecord], firsts: set[int], epochs: Sequence[Pass]
) -> tuple[list[StepRecord], bool]:
    """The steps that stand for an epoch, and whether they are of the second one and later."""
    if len(epochs) > 1:
        late = [step for step in steps if step.start_ns >= epochs[1].first_ns]
        rest = [step for step in late if step.start_ns not in firsts]
        # loaders of one batch have nothing but first steps
        for chosen in (rest, late):
            if len(chosen) >= LEAST_STEPS and 2 * len(chosen) >= len(late):
                return chosen, True
    rest = [step for step in steps if step.start_ns not in firsts]
    # without a loader forwards are seen only once that is known
    seen = [s for s in rest if s.block != NO_LOADER or not math.isnan(s.forward_s)]
    if len(seen) >= max(LEAST_STEPS, len(steps) // 2):
        return seen, False
    if len(rest) >= len(steps) // 2 and rest:
        return rest, False
    return list(steps[1:] or steps), False


def _first(steps: Sequence[StepRecord], epochs: Sequence[Pass]) -> Sequence[StepRecord]:
    """The steps before the second epoch began."""
    if len(epochs) < 2:
        return steps
    begin_ns = epochs[1].first_ns
    return [step for step in steps if step.start_ns < begin_ns]


def _steps_per_epoch(steps: Sequence[StepRecord], epochs: Sequence[Pass]) -> int:
    """Steps from the begin of an epoch to that of the next, the first one only where there is no other.

    The last one counts where it came to its end; an only one is what was seen, its first step aside.
    """
    if len(epochs) < 2:
        return max(1, len(steps) - 1)
    begins = [one.first_ns for one in epochs]
    ends = begins[1:]
    if epochs[-1].exhausted:
        ends = [*ends, end_of(steps[-1]) + 1]
    starts = [step.start_ns for step in steps]
    places = [bisect_left(starts, moment) for moment in (begins[0], *ends)]
    counts = [end - begin for begin, end in pairwise(places)]
    return max(1, round(fmean(counts[1:] or counts)))


def _startup_s(epochs: Sequence[Pass], place: Place) -> dict[str, float]:
    """What starting costs: of workers that are started for each epoch the mean, else what it did at first."""
    first = epochs[0].steps[0]
    stay = place.persistent_workers and not place.made_anew
    again = place.num_workers > 0 and not stay
    seen = epochs if again else epochs[:1]
    found = {
        "first_batch": fmean(one.steps[0].data_wait_s for one in seen),
        "first_step": first.step_s - first.data_wait_s,
    }
    if place.num_workers > 0:
        found["worker_start"] = fmean(one.iter_s for one in seen)
    return found
