"""Share of the epoch that starting takes: workers and first batch each epoch, compiling once.

Why it matters: short epochs pay for it again and again, and nothing in a step shows it. What to try:
workers that persist; where they do, longer epochs. Source: the thresholds are those of periodic work, 3 %
moderate and 15 % high (`periodic_bound`): both are time outside steps. Workers that do not persist have cost
7 minutes an epoch where 35 seconds were needed (open-mmlab/mmhuman3d issue 233).
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.attribution import attributed, once_s_of
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
MOSTLY = 0.5
"""Starting workers is what the start of an epoch consists of from this part of it on."""


def check(evidence: Evidence) -> Finding | None:
    """Return what starting costs as a share of an epoch, where it is moderate or high.

    The first step counts with what it takes longer than a usual one.
    """
    found = attributed(evidence)
    if found is None or "startup" not in found.seconds:
        return None
    share = found.seconds["startup"] / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    epochs = evidence.config.epochs
    each_s = evidence.row.epoch_parts_s.get("epoch_start")
    each_s = None if each_s is None else max(0.0, each_s)
    once_s = once_s_of(evidence)
    stage = _stage(evidence, each_s or 0.0, once_s / epochs)
    return Finding(
        kind="startup_bound",
        severity=judged,
        share=share,
        message=f"Starting takes {units.share(share)} of an epoch: {_in_words(each_s, once_s, epochs)}.",
        try_next=_advice(evidence, each_s or 0.0, once_s / epochs),
        stage=stage,
        where=figures.function_of(evidence.first_making) if stage == "first_batch" else None,
        removable_s=found.removable_s["startup"],
        evidence=tuple(_witnesses(evidence, each_s, once_s)),
    )


def _restarts(evidence: Evidence) -> bool:
    """Whether workers are started anew for every epoch."""
    return evidence.config.num_workers > 0 and not evidence.config.persistent_workers


def _first_step_s(evidence: Evidence) -> float:
    costs = evidence.row.startup_s
    return costs.get("first_step", costs.get("first_step_cold", 0.0))


def _stage(evidence: Evidence, each_s: float, once_s: float) -> str:
    """What of starting it is: `worker_start`, the `first_batch` of every epoch, or the `first_step`."""
    costs = evidence.row.startup_s
    if once_s > each_s:
        known = {name: costs.get(name, 0.0) for name in ("worker_start", "first_batch")}
        known["first_step"] = _first_step_s(evidence)
        return max(known, key=lambda name: known[name])
    if not _restarts(evidence):
        return "first_batch"
    if "worker_start" not in costs:
        # where it was not seen by itself, starting processes is taken for the larger part
        return "worker_start"
    # a new worker's first batch takes longer than others because it is new: its imports, its open files
    made_s = (evidence.loader.made_s if evidence.loader is not None else None) or 0.0
    new_s = costs["worker_start"] + max(0.0, costs.get("first_batch", 0.0) - made_s)
    return "worker_start" if new_s >= MOSTLY * each_s else "first_batch"


def _witnesses(evidence: Evidence, each_s: float | None, once_s: float) -> list[str]:
    told = []
    if each_s:
        again = (
            ", workers being started anew each time"
            if _restarts(evidence)
            else "; workers stay from epoch to epoch"
            if evidence.config.num_workers
            else ""
        )
        told.append(
            f"An epoch takes {units.seconds(each_s)} longer than its steps before it runs steadily{again}."
        )
        if evidence.first_making:
            told.append(figures.made_in(evidence.first_making))
    costs = evidence.row.startup_s
    names = {"worker_start": "starting the workers", "first_batch": "the first batch"}
    seen = [f"{what} {units.seconds(costs[n])}" for n, what in names.items() if costs.get(n)]
    if (step_s := _first_step_s(evidence)) > 0:
        seen.append(f"the first step {units.seconds(step_s)}")
    if seen and once_s > 0:
        told.append(f"When the run begins: {', '.join(seen)}.")
    return told


def _in_words(each_s: float | None, once_s: float, epochs: int) -> str:
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
    if evidence.first_making:
        return (
            f"{figures.own(next(iter(evidence.first_making)))} runs before the first batch of every epoch:"
            " do there what can be done in fewer steps, or once for all epochs."
        )
    if _restarts(evidence):
        return "Add a row whose workers stay from epoch to epoch: --variant persistent_workers=1"
    return "Make epochs longer: several passes over the data count as one where nothing is done between."
