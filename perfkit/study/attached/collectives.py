"""Collectives that a script calls itself, as a part of the steps they lie in. Pure.

DistributedDataParallel exchanges gradients inside of the backward. So that one rule serves both, the
calls of a script count as backward too, wherever in a step they are, until ranks are joined.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from perfkit.records import COLLECTIVE, SpanRecord, StepRecord


def seconds_in_steps(steps: Sequence[StepRecord], spans: Sequence[SpanRecord]) -> list[float]:
    """Return for each step the seconds in collectives; those between steps are in none.

    Args:
        steps: in the order in which they began.
    """
    found = [0.0] * len(steps)
    starts = [step.start_ns for step in steps]
    for span in spans:
        place = bisect_right(starts, span.start_ns) - 1
        if span.phase != COLLECTIVE or place < 0:
            continue
        if span.start_ns < starts[place] + int(steps[place].step_s * 1e9):
            found[place] += span.own_s
    return found


def with_collectives(
    steps: tuple[StepRecord, ...], spans: Sequence[SpanRecord]
) -> tuple[StepRecord, ...]:
    """Return steps whose backward includes the collectives in them."""
    if not any(span.phase == COLLECTIVE for span in spans):
        return steps
    return tuple(
        step if seconds == 0 else _longer_backward(step, seconds)
        for step, seconds in zip(steps, seconds_in_steps(steps, spans), strict=True)
    )


def _longer_backward(step: StepRecord, seconds: float) -> StepRecord:
    known_s = 0.0 if math.isnan(step.backward_s) else step.backward_s
    return step._replace(backward_s=known_s + seconds)
