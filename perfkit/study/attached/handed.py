"""Batches that another thread or process of the script hands over: what the training waits for them. Pure.

Nothing of ours stands where a script takes a batch from a queue of its own. That the training waits there its
stack shows, 20 times a second: the seconds that it was seen to wait in, over the steps that were looked at,
are what a step waits. They are spread over the steps as the time is that is in none of their phases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from perfkit.diagnosis.evidence import OwnWork
from perfkit.records import UNKNOWN, StepRecord
from perfkit.study.attached.passes import NO_LOADER
from perfkit.study.attached.read import Recorded
from perfkit.study.attached.work import outside_s
from perfkit.study.seen import LEAST_SHARE, functions_in, is_wait, known


@dataclass(frozen=True, kw_only=True)
class Handed:
    """Steps with what they waited for their batches, where that was seen."""

    steps: list[StepRecord]
    waited: Mapping[str, OwnWork] = field(default_factory=dict)
    """Where they waited, the longest first; empty where that was not seen."""


def handed(recorded: Recorded, steps: Sequence[StepRecord]) -> Handed:
    """Return the steps with what they waited for another thread or process, which they were recorded without.

    Args:
        steps: that stand for an epoch; as they are where they have a loader, or waited for less than a tenth.
    """
    as_recorded = Handed(steps=list(steps))
    if steps[0].block != NO_LOADER:
        return as_recorded
    seen = functions_in(filter(is_wait, recorded.told("stack")))
    looked_at = max((one.of_steps for one in seen), default=0)
    outside = [outside_s(step) for step in steps]
    whole_s = sum(outside)
    if not looked_at or whole_s <= 0:
        return as_recorded
    wait_s = sum(one.seconds for one in seen) / looked_at
    if wait_s < LEAST_SHARE * fmean(step.step_s for step in steps):
        return as_recorded
    share = min(1.0, wait_s * len(steps) / whole_s)
    found = [
        step._replace(data_wait_s=share * each_s, exposed_wait_s=share * each_s, ready=UNKNOWN)
        for step, each_s in zip(steps, outside, strict=True)
    ]
    return Handed(steps=found, waited=known(seen))
