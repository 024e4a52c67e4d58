"""Share of the epoch that collectives between ranks take.

Why it matters: it grows with every rank that is added. What to try: larger batches or accumulation between
updates, gradients in bf16, DistributedDataParallel, which overlaps them with backward, in place of
DataParallel. What counts is the least of all ranks: what one rank waits beyond it is a slow rank's own cause.
Source: 3 % and 15 % are what XProf's input-pipeline analyzer has for collectives.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15


def check(evidence: Evidence) -> Finding | None:
    """Return collectives as a share of the epoch; not applicable where one process trains."""
    found = attributed(evidence)
    if found is None or "communication" not in found.removable_s:
        return None
    share = found.seconds["communication"] / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    each_s = per_step_s(evidence, found, found.seconds["communication"])
    joined = evidence.communication
    ranks = len(evidence.config.devices) if joined is None else joined.ranks
    sampled = None if joined is None else joined.sampled_steps
    of = "" if sampled is None else f", by {sampled} steps that DistributedDataParallel timed"
    return Finding(
        kind="communication_bound",
        severity=judged,
        share=share,
        message=f"Communication between ranks takes {units.share(share)} of the epoch.",
        try_next="Communicate less often: a larger batch for each rank, or accumulation between updates.",
        removable_s=found.removable_s["communication"],
        evidence=(
            f"Of a step of {units.seconds(found.step_s)}, every one of {ranks} ranks spends at least"
            f" {units.seconds(each_s)} in collectives{of}.",
        ),
    )
