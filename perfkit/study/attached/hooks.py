"""What a script does inside of its optimizer's step, between the last backward and the update. Pure.

Lightning computes forward and backward in a closure that `optimizer.step` calls, and runs its callbacks after
them; step hooks of torch run there too. What the stack showed of the user's own code there is no update.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from perfkit.records import LIBRARY, StepRecord
from perfkit.study.attached.read import Recorded
from perfkit.study.seen import LEAST_SHARE, functions_in


def hooks_in(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the samples of functions of the user's own that ran in an update, and are none."""
    none = ("", LIBRARY)
    return [one for one in recorded.told("update_stack") if one.get("function", "") not in none]


def without_hooks(recorded: Recorded, steps: Sequence[StepRecord]) -> tuple[list[StepRecord], bool]:
    """Return the steps, their updates without what else was seen to run there, and whether that was much.

    A tenth of a mean step is; it is then in no phase of the steps. Steps that a device has timed stay as they
    are.
    """
    seen = functions_in(hooks_in(recorded))
    looked_at = max((one.of_steps for one in seen), default=0)
    updates = [0.0 if math.isnan(step.optimizer_s) else step.optimizer_s for step in steps]
    whole_s = sum(updates)
    if not looked_at or whole_s <= 0 or not math.isnan(steps[-1].device_step_s):
        return list(steps), False
    hooks_s = sum(one.seconds for one in seen) / looked_at
    if hooks_s < LEAST_SHARE * fmean(step.step_s for step in steps):
        return list(steps), False
    left = max(0.0, 1 - hooks_s * len(steps) / whole_s)
    return [step._replace(optimizer_s=step.optimizer_s * left) for step in steps], True
