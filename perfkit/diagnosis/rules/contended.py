"""Share of the epoch that loader workers cost the trainer by taking its cores.

Why it matters: no batch is ever late, so tools that look at waits call it computing, and a faster model is
what they advise. What to try: fewer or cheaper workers, threads that do not spin, data decoded beforehand.
Two witnesses: the arms (a step beside running workers less one beside idle ones) and the kernel's run
delay. Source: the thresholds are those of waiting for batches, 5 % and 20 % (`input_bound`): either is what a
loader costs.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures, witnesses
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20


def check(evidence: Evidence) -> Finding | None:
    """Return contention as a share of the epoch, where it is moderate or high and its interval above 0."""
    found = attributed(evidence)
    if found is None or not figures.is_sure(found.removable_s.get("contention")):
        return None
    seconds = found.seconds["contention"]
    share = seconds / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    workers = evidence.config.num_workers
    full = witnesses.cores_full(evidence)
    return Finding(
        kind="contended",
        severity=judged,
        share=share,
        message=(
            f"The loader's {figures.workers(workers)} slow{'s' if workers == 1 else ''} the training down:"
            f" {units.seconds(per_step_s(evidence, found, seconds))} of every step,"
            f" {units.share(share)} of the epoch."
        ),
        try_next=(
            "Leave cores to the training: fewer workers, one thread in each, or data that is decoded"
            " beforehand."
        ),
        where=figures.function_of(evidence.making),
        flags=() if full is None else ("full",) if full else ("fighting",),
        removable_s=found.removable_s["contention"],
        evidence=tuple(_witnesses(evidence, found)),
    )


def _witnesses(evidence: Evidence, found: Attribution) -> list[str]:
    told = []
    witness = witnesses.contention(evidence)
    if witness is not None and witness.arms is not None:
        idle = found.replay_step_s
        beside = "" if idle is None else f" ({units.seconds(idle.value)})"
        told.append(
            f"With its batches there, a step takes {figures.with_spread(witness.arms)} longer beside running"
            f" workers than beside idle ones{beside}."
        )
    if witness is not None and witness.run_delay is not None:
        told.append(
            "The training's thread could run and had no core for"
            f" {figures.with_spread(witness.run_delay)} of a step."
        )
    ready = None if found.not_ready_share is None else 1 - found.not_ready_share
    if ready is not None and ready > 0.5:
        told.append(
            f"The next batch was ready at {units.share(ready)} of the steps: waits do not show this."
        )
    if evidence.making:
        told.append(figures.made_in(evidence.making, "the workers' work"))
    return told
