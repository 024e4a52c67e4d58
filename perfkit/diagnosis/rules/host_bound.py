"""Share of the epoch that the device starves because the host launches operators too slowly.

Why it matters: a step of many small operators takes as long for two samples as for a batch, and neither a
faster device nor fewer samples shorten it. What to try: `torch.compile`, CUDA graphs, fused optimizers,
larger batches. Two witnesses have to say so, for each alone is wrong at times: 40 LayerNorms of a large
batch have many operators and are bound by memory.
Source: 3 % and 15 % are what XProf's input-pipeline analyzer has for kernel launch. A step of two samples
that takes at least 0.7 of a whole one hardly depends on its samples; operators × their dispatch of at least
0.4 of the step are much of it. Launching cannot take more than what does not depend on the samples: a price
that makes it 1.5 times that is wrong (a step of a thousand additions came out at 1.0 to 1.35 times).
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence, severity
from perfkit.document import Finding
from perfkit.stats import Interval

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
FIXED_SHARE = 0.7
OPERATORS_SHARE = 0.4
MOST_OVER_FIXED = 1.5
WITNESSES = 2
"""How many have to agree."""


def check(evidence: Evidence) -> Finding | None:
    """Return launching as a share of the epoch, where two witnesses say so; else nothing."""
    found = attributed(evidence)
    if found is None:
        return None
    told = _witnesses(evidence, found)
    if len(told) < WITNESSES:
        return None
    seconds = _launching_s(evidence, found)
    share = seconds / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    return Finding(
        kind="host_bound",
        severity=judged,
        share=share,
        message=(
            f"Launching operators one by one takes {units.share(share)} of the epoch:"
            f" {units.seconds(per_step_s(evidence, found, seconds))} of a step of"
            f" {units.seconds(found.step_s)}."
        ),
        try_next="Add a row that fuses operators: --variant compile",
        removable_s=found.removable_s.get("host_launch", Interval(seconds)),
        evidence=tuple(told),
    )


def _witnesses(evidence: Evidence, found: Attribution) -> list[str]:
    told = []
    dispatch, burst = evidence.dispatch, evidence.burst
    fixed = None if dispatch is None else dispatch.fixed_share
    if fixed is not None and fixed >= FIXED_SHARE:
        told.append(f"A step of two samples takes {units.share(fixed)} of one of a whole batch.")
    operators = None if dispatch is None else dispatch.operators_share
    most = MOST_OVER_FIXED * (1.0 if fixed is None else fixed)
    if operators is not None and OPERATORS_SHARE <= operators <= most:
        told.append(
            f"Dispatching its operators takes {units.share(min(operators, 1.0))} of a step."
        )
    idle = found.seconds["host_launch"] / found.epoch_s
    if burst is not None and burst.busy_share is not None and idle >= MODERATE_SHARE:
        launches = "" if burst.launches is None else f" over {burst.launches:.0f} launches a step"
        told.append(
            f"The device is busy for {units.share(burst.busy_share)} of a step{launches}, and idles for"
            f" neither a batch nor a copy during {units.share(idle)} of the epoch."
        )
    return told


def _launching_s(evidence: Evidence, found: Attribution) -> float:
    """Seconds of an epoch: what the device idled where that was seen, else what dispatching takes."""
    if "host_launch" in found.removable_s:
        return found.seconds["host_launch"]
    dispatch = evidence.dispatch
    share = None if dispatch is None else dispatch.operators_share
    # both witnesses of the CPU are there: there is a share
    return min((share or 0.0) * (found.step_s or 0.0) * found.steps, found.seconds["compute"])
