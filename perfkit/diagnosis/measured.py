"""What an epoch was measured to cost by cause, as the pipeline model (`pipeline.py`) starts from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from perfkit.diagnosis.evidence import Attribution, Evidence, LoaderFacts
from perfkit.stats import Interval

End = Literal["value", "low", "high"]
"""Which end of the intervals of what is removable."""
_OF_A_STEP = (
    "waiting", "transfer", "h2d", "host_launch", "sync", "communication", "contention",
)  # fmt: skip
_OUTSIDE = ("periodic", "eval", "startup", "other")
_WAITS_SHARE = 0.05
"""Computing after waits is told apart from this part of a step on; below, arms differ by chance as much."""
_ERRORS = 2.57
"""Standard errors in half an interval: Student's t, 95 %, over six palindromes."""
_NOT_PERIODIC = ("steps", "partial_batch", "epoch_start", "evaluation")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something done between epochs."""

    run_s: float = 0.0
    every: int = 1
    """Epochs from one run to the next."""

    @property
    def epoch_s(self) -> float:
        """Seconds of an average epoch."""
        return self.run_s / self.every


@dataclass(frozen=True, kw_only=True)
class Step:
    """A mean step: what is removable of each cause, and what is not. Seconds.

    What is not: `compute`; `cold`, how much longer that takes after a wait, during which caches are lost;
    `late`, the handing over of batches that were waited for; `hidden`, copies while the device had nothing
    else to do for want of launches; and `fixed`, the rest.
    """

    whole_s: float
    parts_s: Mapping[str, float]

    def __getitem__(self, part: str) -> float:
        return self.parts_s[part]


@dataclass(frozen=True, kw_only=True)
class Between:
    """What is outside of steps."""

    evaluation: Work
    periodic: Mapping[str, Work] = field(default_factory=dict)
    start_s: float = 0.0
    """Of each epoch."""
    once_s: float = 0.0
    """Of a run."""


@dataclass(frozen=True, kw_only=True)
class Production:
    """What one worker does for one batch, seconds."""

    blocked_s: float = 0.0
    cpu_s: float = 0.0
    aside_s: float = 0.0
    """CPU seconds of its other threads."""


def batches(evidence: Evidence, found: Attribution) -> float:
    """Return the batches of an epoch; a partial one counts by its samples."""
    config = evidence.config
    share = config.partial_batch / config.batch_size
    return found.steps + (share if "partial_batch" in evidence.row.epoch_parts_s else 0.0)


def removable_s(found: Attribution, part: str, end: End = "value") -> float:
    """Return what an epoch would save without a cause: one end of its interval, else what it takes."""
    interval = found.removable_s.get(part)
    return max(0.0, found.seconds.get(part, 0.0) if interval is None else at(interval, end))


def at(interval: Interval, end: End) -> float:
    """Return one end of an interval; its value where it has none."""
    bound = {"value": None, "low": interval.low, "high": interval.high}[end]
    return interval.value if bound is None else bound


def mean_step(found: Attribution, count: float, end: End) -> Step:
    """Return a mean step of an epoch of `count` batches."""
    whole_s = max(0.0, found.epoch_s - sum(found.seconds.get(part, 0.0) for part in _OUTSIDE))
    parts = {part: removable_s(found, part, end) for part in _OF_A_STEP}
    # the high ends of several causes may be more than there is
    total = sum(parts.values())
    scale = min(1.0, whole_s / total) / count if total > 0 else 0.0
    parts = {part: seconds * scale for part, seconds in parts.items()}
    left_s = max(0.0, whole_s / count - sum(parts.values()))
    compute_s = min(left_s, found.seconds.get("compute", 0.0) / count)
    left_s -= compute_s
    cold_s = min(compute_s, _after_waits_s(found, whole_s / count, count, end))
    late_s = min(left_s, _kept_s(found, "waiting") / count)
    left_s -= late_s
    launches = found.seconds.get("host_launch", 0.0) > 0
    hidden_s = min(left_s, _kept_s(found, "h2d") / count) if launches else 0.0
    parts |= {
        "compute": compute_s - cold_s,
        "cold": cold_s,
        "late": late_s,
        "hidden": hidden_s,
        "fixed": left_s - hidden_s,
    }
    return Step(whole_s=whole_s / count, parts_s=parts)


def _after_waits_s(found: Attribution, step_s: float, count: float, end: End) -> float:
    """Seconds of a step that input costs beyond waits and handing over, by the arms that have batches there.

    On a virtual machine with two cores a step of 17.3 ms after waits of 33 ms took 14.8 ms without. It is a
    small difference of large figures, so the value is shrunk by its own error: d³ ÷ (d² + e²).
    """
    costs = found.differential_s.get("input")
    if costs is None or found.seconds.get("waiting", 0.0) < _WAITS_SHARE * step_s * count:
        return 0.0
    parts = ("waiting", "transfer", "contention")
    told_s = sum(found.seconds.get(part, 0.0) for part in parts) / count
    beyond_s = max(0.0, at(costs, end) - told_s)
    if end != "value" or beyond_s == 0.0 or costs.low is None:
        return beyond_s
    error_s = (costs.value - costs.low) / _ERRORS
    return beyond_s**3 / (beyond_s**2 + error_s**2)


def _kept_s(found: Attribution, part: str) -> float:
    """Seconds of a cause that would not be saved without it."""
    return max(0.0, found.seconds.get(part, 0.0) - removable_s(found, part))


def update_share(evidence: Evidence) -> float:
    """Return the optimizer's part of forward, backward and update."""
    phases = evidence.row.phases_s
    known = sum(phases.get(name, 0.0) for name in ("forward", "backward", "optimizer"))
    return phases.get("optimizer", 0.0) / known if known > 0 else 0.0


def periodic_parts_s(evidence: Evidence) -> dict[str, float]:
    """Return seconds of an average epoch by periodic task."""
    parts = evidence.row.epoch_parts_s
    return {n: s for n, s in parts.items() if n not in _NOT_PERIODIC and s > 0}


def between(evidence: Evidence, found: Attribution, end: End) -> Between:
    """Return what is outside of steps: the shares are the forecast's, the sums the attribution's."""
    config = evidence.config
    often = {
        "metrics": config.count_of("metrics_every"),
        "visualisation": config.count_of("viz_every"),
    }
    tasks = periodic_parts_s(evidence)
    periodic_s, total = removable_s(found, "periodic", end), sum(tasks.values())
    scale = periodic_s / total if total > 0 else 0.0
    startup_s = removable_s(found, "startup", end)
    whole_s = max(startup_s, found.seconds.get("startup", 0.0))
    each = min(whole_s, max(0.0, evidence.row.epoch_parts_s.get("epoch_start", 0.0)))
    each_s = startup_s * each / whole_s if whole_s > 0 else 0.0
    periodic = {}
    for name, seconds in (tasks or {"periodic": periodic_s}).items():
        every = max(1, often.get(name, 1))
        average_s = seconds * scale if tasks else seconds
        periodic[name] = Work(run_s=average_s * every, every=every)
    return Between(
        evaluation=Work(run_s=removable_s(found, "eval", end)),
        periodic=periodic,
        start_s=each_s,
        once_s=(startup_s - each_s) * config.epochs,
    )


def production(facts: LoaderFacts | None) -> Production:
    """Return what a worker does for a batch; nothing where it was not seen."""
    if facts is None or facts.made_s is None:
        return Production()
    fetch_s, collate_s = facts.fetch_s or 0.0, facts.collate_s or 0.0
    # what was not told apart counts as computing: it is what cores run out for
    fetch_cpu_s = fetch_s if facts.fetch_cpu_s is None else min(fetch_s, facts.fetch_cpu_s)
    collate_cpu_s = (
        collate_s if facts.collate_cpu_s is None else min(collate_s, facts.collate_cpu_s)
    )
    cpu_s = fetch_cpu_s + collate_cpu_s
    return Production(
        blocked_s=fetch_s + collate_s - cpu_s + (facts.handover_s or 0.0),
        cpu_s=cpu_s,
        aside_s=facts.serialise_cpu_s or 0.0,
    )
