"""How much longer two watched runs would have to be for their comparison to be settled. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfkit.stats import MIN_GENERATIONS, effective_sizes, outcome, welch_ratio
from perfkit.study.attached.windows import LEAST_STEPS

MOST_LONGER = 100.0
"""A comparison that runs so many times as long would not settle is not told how long it takes."""
WITHIN = 1.1
"""How closely that is told."""


def more_steps(old: Sequence[float], new: Sequence[float], fewest: int) -> int | None:
    """Return how many steps more in each run would settle a comparison; None where a hundredfold would not.

    Longer runs are taken to show the same ratio and the same spread, of which as many more windows tell.

    Args:
        old, new: logarithms of their windows, in order.
        fewest: steps of the shorter run.
    """
    if min(len(old), len(new)) < MIN_GENERATIONS:
        return max(LEAST_STEPS, LEAST_STEPS * MIN_GENERATIONS - fewest)
    before, after = effective_sizes(old, new)

    def settles(longer: float) -> bool:
        interval = welch_ratio(old, new, sizes=(before * longer, after * longer))
        return outcome(interval, MIN_GENERATIONS) != "inconclusive"

    if not settles(MOST_LONGER):
        return None
    short, long = 1.0, MOST_LONGER
    while long > WITHIN * short:
        middle = math.sqrt(short * long)
        short, long = (short, middle) if settles(middle) else (middle, long)
    return math.ceil((long - 1) * fewest / 10) * 10
