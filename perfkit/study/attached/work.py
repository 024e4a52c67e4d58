"""Work of a training loop in no phase of a step: told apart from steps, named where it was seen. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from perfkit.diagnosis.evidence import Dispatch, OwnWork
from perfkit.records import StepRecord
from perfkit.stats import median
from perfkit.study.attached.passes import NO_LOADER
from perfkit.study.attached.read import Recorded
from perfkit.study.seen import (
    LEAST_SHARE,
    Seen,
    functions_in,
    known,
    most_seen,
    period,
    shares,
)

BETWEEN_STEPS, BETWEEN_EPOCHS = "work between steps", "work between epochs"
OURS = ("evaluation", "checkpoint", "metrics", "visualisation", BETWEEN_STEPS, BETWEEN_EPOCHS)
"""Names of work that rules know, or that is told apart here."""
PEAK = 3.0
LEAST_PEAK_S = 1e-3
"""Time outside of every phase is a peak from so many times its median on, and so much more."""
MOST_PEAKS = 0.25
"""In more of the steps than this it is what a step takes, and no peak."""


def outside_s(step: StepRecord) -> float:
    """Return the seconds of a step in none of its phases; a phase that was not seen took no time."""
    phases = (step.data_wait_s, step.h2d_s, step.forward_s, step.backward_s, step.optimizer_s)
    return max(0.0, step.step_s - sum(phase for phase in phases if not math.isnan(phase)))


def without_peaks(steps: Sequence[StepRecord]) -> tuple[list[StepRecord], float]:
    """Take out of steps what is done in few of them: metrics, logging, plots.

    Returns:
        The steps, and the mean seconds of a step that were taken out.
    """
    usual_s, left, taken_s = median([outside_s(step) for step in steps]), list(steps), 0.0
    for place in peaks(steps):
        more_s = outside_s(steps[place]) - usual_s
        left[place] = shorter(steps[place], more_s)
        taken_s += more_s
    return left, taken_s / len(steps)


def peaks(steps: Sequence[StepRecord]) -> list[int]:
    """Return the places of the steps in which something is done that is done in few of them."""
    others = [outside_s(step) for step in steps]
    peak_s = PEAK * median(others) + LEAST_PEAK_S
    found = [place for place, other_s in enumerate(others) if other_s > peak_s]
    return found if len(found) <= MOST_PEAKS * len(steps) else []


def every_steps(steps: Sequence[StepRecord]) -> int | None:
    """Return how many steps lie from one time to the next that something is done in few of them.

    What is much shorter than what most of the time is in is not the same work. None where it varies.
    """
    places = peaks(steps)
    spent_s = {place: outside_s(steps[place]) for place in places}
    left_s, usual_s = sum(spent_s.values()) / 2, 0.0
    for usual_s in sorted(spent_s.values(), reverse=True):
        left_s -= usual_s
        if left_s <= 0:
            break
    return period([place for place in places if spent_s[place] >= usual_s / 2])


@dataclass(frozen=True, kw_only=True)
class Named:
    """Steps, and the work beside them, with what is known of that work."""

    steps: list[StepRecord]
    work_s: dict[str, float]
    """Seconds of an epoch by name."""
    work: dict[str, OwnWork]
    """What is known of it, by the same names."""
    untracked: dict[str, OwnWork]
    """What was seen in the time that stays in the steps, and in no phase of them."""


def named(
    recorded: Recorded,
    steps: list[StepRecord],
    work_s: Mapping[str, float],
    steps_per_epoch: int,
    all_steps: int,
    every: int | None,
    samples: Sequence[Mapping[str, Any]],
) -> Named:
    """Name untracked parts: by the script's own phases, and the largest one by the function seen in it.

    Where that part is in every step it is taken out of the steps: it is known then, and no longer untracked.
    Without samples of the stack it stays where it is; so it does without a loader, for there it may be the
    making of batches, and what is done in few of the steps is named beside it.

    Args:
        all_steps: how many steps were seen in all.
        every: steps from one time to the next that work is done between steps; None where it varies.
        samples: of the stack, in that time.
    """
    found = dict(work_s)
    for name, seconds in own_phases(recorded).items():
        steps, found = _own_phase(name, seconds / all_steps, steps, found, steps_per_epoch)
    work = {BETWEEN_STEPS: OwnWork(every_steps=every, between_steps=True)}
    bare = steps[0].block == NO_LOADER
    # where no forward was seen either, the sampler looked at waiting for other threads alone
    seen = [] if bare and math.isnan(steps[-1].forward_s) else functions_in(samples)
    if not seen:
        return Named(steps=steps, work_s=found, work=work, untracked={})
    mean_s, each_s = fmean(s.step_s for s in steps), fmean(map(outside_s, steps))
    untracked_s = {name: found.get(name, 0.0) for name in (BETWEEN_STEPS, BETWEEN_EPOCHS)}
    inside_s = each_s * steps_per_epoch if each_s >= LEAST_SHARE * mean_s else 0.0
    largest = max(untracked_s, key=lambda name: untracked_s[name])
    rare = most_seen([one for one in seen if one.is_rare]) if bare else None
    if rare is not None:
        _rename(found, work, BETWEEN_STEPS, rare)
        seen = [one for one in seen if not one.is_rare]
    if rare is not None or (bare and inside_s > untracked_s[largest]):
        untracked = shares(seen) if inside_s else {}
        return Named(steps=steps, work_s=found, work=work, untracked=untracked)
    if inside_s > untracked_s[largest]:
        steps = [shorter(step, outside_s(step)) for step in steps]
        largest = BETWEEN_STEPS
        found[largest] = found.get(largest, 0.0) + inside_s
        work[largest] = replace(work[largest], every_steps=1)
    top = most_seen(seen)
    if top is not None:
        _rename(found, work, largest, top)
    return Named(steps=steps, work_s=found, work=work, untracked={})


def _rename(work_s: dict[str, float], work: dict[str, OwnWork], name: str, seen: Seen) -> None:
    """Give work the name of the function that most of it was seen in."""
    if work_s.get(name, 0.0) > 0:
        work_s[seen.name] = work_s.pop(name)
        work[seen.name] = replace(work.pop(name, OwnWork()), inner=seen.inner)


def long_forward(recorded: Recorded, phases_s: Mapping[str, float]) -> dict[str, OwnWork]:
    """Return what forwards were seen in, where they take longer than backwards; else nothing.

    Args:
        phases_s: of a mean step.
    """
    if phases_s.get("forward", 0.0) <= phases_s.get("backward", math.inf):
        return {}
    return known(functions_in(recorded.told("forward_stack")))


def dispatch_of(
    recorded: Recorded, steps: Sequence[StepRecord], phases_s: Mapping[str, float]
) -> Dispatch | None:
    """Return what launching a step's operators takes of forward and backward; None where nothing tells.

    Args:
        steps: of which some may have several backwards.
        phases_s: of a mean step.
    """
    told = recorded.told("launching")
    computing_s = phases_s.get("forward", 0.0) + phases_s.get("backward", 0.0)
    if not told or computing_s <= 0:
        return None
    launching_s = told[-1]["operators"] * told[-1]["operator_s"]
    backwards = fmean(max(1, step.backwards) for step in steps)
    return Dispatch(operators_share=backwards * launching_s / computing_s)


def own_phases(recorded: Recorded) -> dict[str, float]:
    """Return the seconds that the script spent in phases of its own, by name."""
    return {
        _own_name(str(one["name"])): float(one["seconds"])
        for one in recorded.told("phases")
        if one.get("name") and isinstance(one.get("seconds"), (int, float))
    }


def _own_name(name: str) -> str:
    """A name of the script's own, told apart from those that we give."""
    return f"own {name}" if name in OURS else name


def _own_phase(
    name: str,
    each_s: float,
    steps: list[StepRecord],
    work_s: dict[str, float],
    steps_per_epoch: int,
) -> tuple[list[StepRecord], dict[str, float]]:
    """Take a phase of the script's own out of what was in no phase: between steps and epochs, then in steps.

    What of it lies before a backward is part of the forward, and stays there.
    """
    left_s, found = each_s * steps_per_epoch, dict(work_s)
    for part in (BETWEEN_STEPS, BETWEEN_EPOCHS):
        taken_s = min(left_s, found.get(part, 0.0))
        found[part] = found.get(part, 0.0) - taken_s
        left_s -= taken_s
    outside = fmean(map(outside_s, steps))
    inside_s = min(left_s / steps_per_epoch, outside)
    if inside_s > 0:
        steps = [shorter(step, outside_s(step) * inside_s / outside) for step in steps]
        left_s -= inside_s * steps_per_epoch
    found[name] = found.get(name, 0.0) + each_s * steps_per_epoch - left_s
    return steps, found


def shorter(step: StepRecord, seconds: float) -> StepRecord:
    """Return a step without some seconds of it, on either clock."""
    return step._replace(step_s=step.step_s - seconds, device_step_s=step.device_step_s - seconds)
