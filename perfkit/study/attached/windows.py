"""A watched training's steps, cut into windows of equal length. Pure.

Neighbouring steps are alike, so that single ones would give too narrow an interval. A comparison cuts finer
than a verdict does: of 12 windows the correlation of neighbours is hardly known, and a planted 20 % tripped
`slower:5%` in 88 % of simulated pairs of 480 steps with a correlation of 0.9, of 48 windows in 92 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from perfkit.document import StepWindows
from perfkit.records import StepRecord
from perfkit.study.attached.loop import Loop

WINDOWS = 12
"""Of a verdict: each has foreign load and phases of its own."""
COMPARED_WINDOWS = 48
LEAST_STEPS = 5
"""Of a window."""
WARM_STEPS = 20
"""Of the first epoch, left out before steps are compared: compiling, autotuning, queues that fill."""
WARM_SHARE = 0.1
"""As many of the first epoch's steps where that is more."""


def windows(steps: Sequence[StepRecord], most: int = WINDOWS) -> list[tuple[StepRecord, ...]]:
    """Cut steps into windows of equal length; what is left over goes to the last ones."""
    count = max(1, min(most, len(steps) // LEAST_STEPS))
    edges = [round(number * len(steps) / count) for number in range(count + 1)]
    return [tuple(steps[a:b]) for a, b in pairwise(edges)]


def compared(loop: Loop) -> dict[str, StepWindows]:
    """Return what `perfkit compare` takes: `first_epoch` without its warm-up, and `later_epochs`.

    Both, where there are both: two runs are compared by what both have seen, which is the same part of each.
    """
    warm = max(WARM_STEPS, round(WARM_SHARE * len(loop.first)))
    parts = {"first_epoch": loop.first[warm:], "later_epochs": loop.steady if loop.later else ()}
    return {
        name: StepWindows(
            step_time_s=tuple(
                fmean(step.step_s for step in one) for one in windows(steps, COMPARED_WINDOWS)
            ),
            steps=len(steps),
        )
        for name, steps in parts.items()
        if steps
    }
