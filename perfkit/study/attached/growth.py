"""Steps that get longer while a script trains: a graph that is kept, a list that is gone through. Pure.

Medians of ten stretches of steps have to rise, nearly every later one over every earlier: of the 45 pairs 41
(Kendall's tau 0.8, which chance gives twice in 10,000 times), and by a third from the first two to the last
two. A machine that becomes slower at one moment, or epochs that are alike, do not do that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import fmean

from perfkit import units
from perfkit.diagnosis.evidence import Growth
from perfkit.diagnosis.figures import of_growth
from perfkit.document import Finding
from perfkit.records import StepRecord
from perfkit.stats import median

KIND = "growth"
STRETCHES = 10
LEAST_STEPS = 8
"""Of a stretch."""
LEAST_TAU = 0.8
MODERATE_GROWTH = 4 / 3
HIGH_GROWTH = 2.0
"""Last steps ÷ first ones."""
_PARTS = ("h2d", "forward", "backward", "optimizer")
"""Phases that may grow, beside waiting."""
ADVICE = {
    "waiting": "Look at what making a batch goes through that grows: a list that is searched, a cache that"
    " the dataset keeps.",
    "forward": "Detach what is carried from step to step (`hidden.detach()`), and remove hooks that are"
    " registered in the loop.",
    "other": "Keep a running sum of what is needed from earlier steps, in place of all of it.",
}
ADVICE["backward"] = ADVICE["optimizer"] = ADVICE["h2d"] = ADVICE["forward"]


def growth_of(steps: Sequence[StepRecord], after_s: Sequence[float]) -> Growth | None:
    """Return how steps get longer; None where they do not, or are too few to say.

    Args:
        steps: in their order, without what fell into them that is no training.
        after_s: what was done after each of them, before the next one began.
    """
    count = len(steps)
    if count < STRETCHES * LEAST_STEPS:
        return None
    ends = [number * count // STRETCHES for number in range(STRETCHES + 1)]
    places = [range(*stretch) for stretch in pairwise(ends)]

    whole_s = [step.step_s + more_s for step, more_s in zip(steps, after_s, strict=True)]
    total = [median([whole_s[place] for place in stretch]) for stretch in places]
    first_s, last_s = fmean(total[:2]), fmean(total[-2:])
    if last_s < MODERATE_GROWTH * first_s or _tau(total) < LEAST_TAU:
        return None
    prefix = "" if all(math.isnan(step.device_step_s) for step in steps) else "device_"
    fields = {name: f"{prefix}{name}_s" for name in _PARTS}
    fields["waiting"] = "exposed_wait_s"
    grown = {}
    for name, field in fields.items():
        known = [[getattr(steps[place], field) for place in stretch] for stretch in places]
        grown[name] = _rise([_median_known(found) for found in known])
    grown["other"] = last_s - first_s - sum(grown.values())
    part = max(grown, key=lambda name: grown[name])
    return Growth(
        part=part,
        part_share=min(1.0, grown[part] / (last_s - first_s)),
        first_s=first_s,
        last_s=last_s,
        mean_s=fmean(whole_s),
        steps=count,
    )


def finding_of(growth: Growth) -> Finding:
    """Return it as a finding, which is no verdict: what the time is spent on is one."""
    return Finding(
        kind=KIND,
        stage=growth.part,
        severity="high" if growth.last_s >= HIGH_GROWTH * growth.first_s else "moderate",
        share=None,
        message=of_growth(growth),
        try_next=ADVICE[growth.part],
        evidence=(
            f"Medians of {STRETCHES} stretches of {units.count(growth.steps)} steps rise from"
            f" {units.seconds(growth.first_s)} to {units.seconds(growth.last_s)}.",
        ),
    )


def _rise(found: Sequence[float]) -> float:
    return fmean(found[-2:]) - fmean(found[:2])


def _median_known(found: Sequence[float]) -> float:
    """Return the median of what was seen; what never was took no time."""
    known = [one for one in found if not math.isnan(one)]
    return median(known) if known else 0.0


def _tau(found: Sequence[float]) -> float:
    """Kendall's tau of values with their order: 1 where each is larger than all before it."""
    pairs = [(later > earlier) - (later < earlier) for earlier, later in combinations(found, 2)]
    return sum(pairs) / len(pairs)
