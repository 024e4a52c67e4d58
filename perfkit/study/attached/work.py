"""Work of a training loop in no phase of a step: told apart from steps, named where it was seen. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from perfkit.records import StepRecord
from perfkit.stats import median
from perfkit.study.attached.passes import NO_LOADER
from perfkit.study.attached.read import Recorded

BETWEEN_STEPS, BETWEEN_EPOCHS = "work between steps", "work between epochs"
OURS = ("evaluation", "checkpoint", "metrics", "visualisation", BETWEEN_STEPS, BETWEEN_EPOCHS)
"""Names of work that rules know, or that is told apart here."""
PEAK = 3.0
LEAST_PEAK_S = 1e-3
"""Time outside of every phase is a peak from so many times its median on, and so much more."""
MOST_PEAKS = 0.25
"""In more of the steps than this it is what a step takes, and no peak."""
LEAST_SHARE = 0.10
"""What is in no phase of a step is looked at from this part of it on: from there on the sampler looks."""
MOSTLY = 0.5
"""A function that was seen in this part of the untracked time names it."""


def outside_s(step: StepRecord) -> float:
    """Return the seconds of a step in none of its phases; a phase that was not seen took no time."""
    phases = (step.data_wait_s, step.h2d_s, step.forward_s, step.backward_s, step.optimizer_s)
    return max(0.0, step.step_s - sum(phase for phase in phases if not math.isnan(phase)))


def without_peaks(steps: Sequence[StepRecord]) -> tuple[list[StepRecord], float]:
    """Take out of steps what is done in few of them: metrics, logging, plots.

    Returns:
        The steps, and the mean seconds of a step that were taken out.
    """
    others = [outside_s(step) for step in steps]
    usual_s = median(others)
    peak_s = PEAK * usual_s + LEAST_PEAK_S
    peaks = [other_s for other_s in others if other_s > peak_s]
    if not peaks or len(peaks) > MOST_PEAKS * len(steps):
        return list(steps), 0.0
    left = [
        shorter(step, other_s - usual_s) if other_s > peak_s else step
        for step, other_s in zip(steps, others, strict=True)
    ]
    return left, sum(other_s - usual_s for other_s in peaks) / len(steps)


def named(
    recorded: Recorded,
    steps: list[StepRecord],
    work_s: Mapping[str, float],
    steps_per_epoch: int,
    all_steps: int,
) -> tuple[list[StepRecord], dict[str, float]]:
    """Name untracked parts: by the script's own phases, and the largest one by the function seen in it.

    Where that part is in every step it is taken out of the steps: it is known then, and no longer untracked.
    Without samples of the stack it stays where it is.

    Args:
        all_steps: how many steps were seen in all.
    """
    found = dict(work_s)
    for name, seconds in own_phases(recorded).items():
        steps, found = _own_phase(name, seconds / all_steps, steps, found, steps_per_epoch)
    # of steps without a loader only waiting for other threads was seen, not all that is in no phase
    seen = {} if steps[0].block == NO_LOADER else seen_functions(recorded)
    if not seen:
        return steps, found
    mean_s, each_s = fmean(s.step_s for s in steps), fmean(map(outside_s, steps))
    untracked_s = {name: found.get(name, 0.0) for name in (BETWEEN_STEPS, BETWEEN_EPOCHS)}
    inside_s = each_s * steps_per_epoch if each_s >= LEAST_SHARE * mean_s else 0.0
    largest = max(untracked_s, key=lambda name: untracked_s[name])
    if inside_s > untracked_s[largest]:
        steps = [shorter(step, outside_s(step)) for step in steps]
        largest = BETWEEN_STEPS
        found[largest] = found.get(largest, 0.0) + inside_s
    if found.get(largest, 0.0) <= 0:
        return steps, found
    (name, seconds), *_ = seen.items()
    if seconds >= MOSTLY * sum(seen.values()):
        found[name] = found.pop(largest)
    return steps, found


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


def seen_functions(recorded: Recorded) -> dict[str, float]:
    """Return the seconds of untracked time by function, `augment (train.py:88)`, the longest first."""
    lines: dict[tuple[str, str], dict[str, float]] = {}
    for one in recorded.told("stack"):
        function, where, seconds = one.get("function"), one.get("where"), one.get("seconds")
        if function and where and isinstance(seconds, (int, float)):
            of = str(function), str(where).rpartition(":")[0]
            # told again whenever it has grown
            lines.setdefault(of, {})[str(where)] = float(seconds)
    ordered = sorted(lines.items(), key=lambda item: -sum(item[1].values()))
    return {
        f"{function} ({max(told, key=lambda where: told[where])})": sum(told.values())
        for (function, _), told in ordered
    }


def shorter(step: StepRecord, seconds: float) -> StepRecord:
    """Return a step without some seconds of it, on either clock."""
    return step._replace(step_s=step.step_s - seconds, device_step_s=step.device_step_s - seconds)
