"""Which arms there is time for and how long blocks are, once a process has told what its steps take. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfkit.config import RunConfig
from perfkit.engine.plan import GenerationPlan
from perfkit.stats import LEAST_STEPS

QUIET_DELAY_SHARE = 0.01
"""Below this part of a step that the trainer waited for a core, and …"""
QUIET_WORKERS_SHARE = 0.05
"""… below this part of the cores that its workers use, nobody takes a core from anybody: the running arm
may be left out."""
ALONE = ("real",)
REPEAT = "evaluation_repeat"
"""What is dropped where there is no time to evaluate twice."""
LONGEST_BLOCK = 3.0
"""A block is stretched to reach past the ready queue, but to no more than this many times its length."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """What the processes of a generation take turns at."""

    arms: tuple[str, ...]
    palindromes: int
    load_s: float
    """Seconds for the loader alone; 0: it is not timed."""
    repeat_s: float | None = None
    """Seconds that a second evaluation may take; None: whatever it takes."""
    dropped: tuple[str, ...] = ()
    """What was planned and there is no time for: arms, `load` and `evaluation_repeat`."""


def fitting(
    plan: GenerationPlan, warm_up: Mapping[str, Any], config: RunConfig, cores: int
) -> Turns:
    """Return what fits into `plan.most_s`; all that is planned where that is None.

    Dropped are, in this order: the loader alone; the running arm, if nobody seems to wait for a core; the
    second evaluation; all arms but the real one. Never palindromes, as long as there are arms.

    Args:
        warm_up: what the process answered: `step_s`, and where known `run_delay_s`, `workers_cores`.
        cores: that we may run on.
    """
    planned = Turns(arms=plan.arms, palindromes=plan.palindromes, load_s=plan.load_s)
    if plan.most_s is None:
        return planned
    step_s = warm_up.get("step_s") or 0.0
    kept_s = plan.repeat_s or 0.0
    tries = [(plan.arms, plan.load_s, kept_s), (plan.arms, 0.0, kept_s)]
    if _quiet(warm_up, step_s, cores):
        tries.append((tuple(arm for arm in plan.arms if arm != "replay_running"), 0.0, kept_s))
    tries.append((tries[-1][0], 0.0, 0.0))
    for arms, load_s, repeat_s in tries:
        blocks_s = plan.palindromes * palindrome_s(plan, arms, step_s, config)
        left_s = plan.most_s - blocks_s - load_s
        if left_s >= repeat_s:
            return _turns(plan, arms, plan.palindromes, load_s, left_s if repeat_s else 0.0)
    fit = int(plan.most_s // palindrome_s(plan, ALONE, step_s, config))
    return _turns(plan, ALONE, min(max(fit, 1), plan.palindromes), 0.0, 0.0)


def block_steps(plan: GenerationPlan, step_s: float, config: RunConfig) -> int:
    """Return the steps of a block of the real arm: as planned, and past what the ready queue can hide.

    They are whole updates, so that no block has one more than another.
    """
    if plan.steps is not None:
        return config.whole_updates(plan.steps)
    step_s = max(step_s, 1e-6)
    wanted = max(LEAST_STEPS, math.ceil(plan.block_s / step_s))
    longest = max(LEAST_STEPS, int(LONGEST_BLOCK * plan.block_s / step_s))
    return config.whole_updates(min(max(wanted, 2 * config.queue_capacity), longest))


def palindrome_s(
    plan: GenerationPlan, arms: tuple[str, ...], step_s: float, config: RunConfig
) -> float:
    """Return what one palindrome of arms takes, at the real arm's step: no arm's is longer."""
    block_s = max(plan.block_s, LEAST_STEPS * step_s)
    run_in_s = 0.0 if arms == ALONE else (config.queue_capacity + 2) * step_s
    return 2 * len(arms) * (block_s + run_in_s)


def _quiet(warm_up: Mapping[str, Any], step_s: float, cores: int) -> bool:
    delay_s, used = warm_up.get("run_delay_s"), warm_up.get("workers_cores")
    if delay_s is None or used is None or step_s <= 0:
        return False
    return bool(delay_s < QUIET_DELAY_SHARE * step_s and used < QUIET_WORKERS_SHARE * cores)


def _turns(
    plan: GenerationPlan, arms: tuple[str, ...], palindromes: int, load_s: float, repeat_s: float
) -> Turns:
    dropped = [arm for arm in plan.arms if arm not in arms]
    if plan.load_s and not load_s:
        dropped.append("load")
    if plan.repeat_s and not repeat_s:
        dropped.append(REPEAT)
    return Turns(
        arms=arms,
        palindromes=palindromes,
        load_s=load_s,
        repeat_s=None if plan.repeat_s is None else repeat_s,
        dropped=tuple(dropped),
    )
