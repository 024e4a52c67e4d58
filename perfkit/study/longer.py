"""How much more of two runs it would take for their comparison to be settled. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from perfkit.stats import MIN_GENERATIONS, Interval, effective_sizes, outcome, welch_ratio
from perfkit.study.attached.windows import LEAST_STEPS

MOST_LONGER = 100.0
"""A comparison that runs so many times as long would not settle is not told how long it takes."""
WITHIN = 1.1
"""How closely that is told."""


Settled = Callable[[Interval], bool]
"""Whether an interval of enough values answers what was asked."""


def is_settled(interval: Interval) -> bool:
    """Whether a comparison is: it is faster, slower or the same."""
    return outcome(interval, MIN_GENERATIONS) != "inconclusive"


def more_steps(
    old: Sequence[float], new: Sequence[float], fewest: int, settled: Settled = is_settled
) -> int | None:
    """Return how many steps more in each run would settle a comparison; None where a hundredfold would not.

    Longer runs are taken to show the same ratio and the same spread, of which as many more windows tell.

    Args:
        old, new: logarithms of their windows, in order.
        fewest: steps of the shorter run.
        settled: what is to be answered.
    """
    if min(len(old), len(new)) < MIN_GENERATIONS:
        return max(LEAST_STEPS, LEAST_STEPS * MIN_GENERATIONS - fewest)
    longer = _longer(old, new, effective_sizes(old, new), settled)
    return None if longer is None else math.ceil((longer - 1) * fewest / 10) * 10


def more_generations(
    old: Sequence[float], new: Sequence[float], settled: Settled = is_settled
) -> int | None:
    """Return how many generations more of each run would settle it; None where a hundredfold would not.

    Args:
        old, new: logarithms, one of each generation.
        settled: what is to be answered.
    """
    fewest = min(len(old), len(new))
    if fewest < MIN_GENERATIONS:
        return MIN_GENERATIONS - fewest
    longer = _longer(old, new, (len(old), len(new)), settled)
    return None if longer is None else math.ceil((longer - 1) * fewest)


def _longer(
    old: Sequence[float], new: Sequence[float], sizes: Sequence[float], settled: Settled
) -> float | None:
    """How many times as much of both settles it, to within a tenth; None where a hundredfold does not."""
    before, after = sizes

    def settles(longer: float) -> bool:
        return settled(welch_ratio(old, new, sizes=(before * longer, after * longer)))

    if not settles(MOST_LONGER):
        return None
    short, long = 1.0, MOST_LONGER
    while long > WITHIN * short:
        middle = math.sqrt(short * long)
        short, long = (short, middle) if settles(middle) else (middle, long)
    return long
