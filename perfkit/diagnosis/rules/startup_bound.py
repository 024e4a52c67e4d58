"""Share of the epoch that starting takes: workers and first batch each epoch, compiling once.

Why it matters: short epochs pay for it again and again, and nothing in a step shows it. What to try:
workers that persist; where they do, longer epochs. Source: the thresholds are those of periodic work, 3 %
moderate and 15 % high (`periodic_bound`): both are time outside steps. Workers that do not persist have cost
7 minutes an epoch where 35 seconds were needed (open-mmlab/mmhuman3d issue 233).
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
ONCE = ("worker_start", "first_batch", "first_step")
"""Costs that a run has once; they are spread over the epochs it is said to have."""


def check(evidence: Evidence) -> Finding | None:
    """Return what starting costs as a share of an epoch, where it is moderate or high.

    The first step counts with what it takes longer than a usual one.
    """
    epoch_s, epochs = evidence.epoch_s, evidence.config.epochs
    if epoch_s is None:
        return None
    each_s = evidence.row.epoch_parts_s.get("epoch_start")
    each_s = None if each_s is None else max(0.0, each_s)
    costs = evidence.row.startup_s
    once_s = sum(costs.get(name, 0.0) for name in ONCE)
    if "first_step" not in costs:
        # of a single process it is not known what a warm cache would save
        once_s += costs.get("first_step_cold", 0.0)
    if each_s is None and not once_s:
        return None
    once_s = max(0.0, once_s - (evidence.step_s or 0.0))
    start_s = (each_s or 0.0) + once_s / epochs
    share = start_s / (epoch_s + once_s / epochs)
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    return Finding(
        kind="startup_bound",
        severity=judged,
        share=share,
        message=f"Starting takes {units.share(share)} of an epoch: {_told(each_s, once_s, epochs)}.",
        try_next=_advice(evidence, each_s or 0.0, once_s / epochs),
    )


def _told(each_s: float | None, once_s: float, epochs: int) -> str:
    parts = [] if each_s is None else [f"{units.seconds(each_s)} at the start of each"]
    if once_s > 0:
        parts.append(f"{units.seconds(once_s)} once, spread over {epochs} epochs")
    return ", and ".join(parts)


def _advice(evidence: Evidence, each_s: float, once_s: float) -> str:
    config = evidence.config
    if once_s > each_s:
        compiled = any(name == "compile" for name, _ in config.variants)
        what = (
            "Compiling pays off in longer runs" if compiled else "A longer run spreads it further"
        )
        return f"{what}: --epochs N says how many epochs yours has."
    if config.num_workers > 0 and not config.persistent_workers:
        return "Add a row whose workers stay from epoch to epoch: --variant persistent_workers=1"
    return "Make epochs longer: several passes over the data count as one where nothing is done between."
