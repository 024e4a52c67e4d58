"""Share of the epoch that the device idles because a call made the host wait for it.

Why it matters: `.item()`, `.cpu()` or a boolean of a tensor wait until the device has no work left, and it
has none until the host has launched some again; profilers of the host show that time in whatever call it is.
What to try: do it every some steps, or keep the value on the device. Source: 5 % and 20 % as for waiting for
batches (`input_bound`): either is a device that idles.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20
NAMED = 3
"""Places that are named, the most frequent first."""


def check(evidence: Evidence) -> Finding | None:
    """Return it as a share of the epoch, where a profiler saw such calls; not applicable on a CPU."""
    found, burst = attributed(evidence), evidence.burst
    if found is None or evidence.on_cpu or burst is None or not burst.synchronising:
        return None
    share = found.seconds["sync"] / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    calls = sorted(burst.synchronising.items(), key=lambda call: -call[1])
    where = calls[0][0]
    told = "; ".join(
        f"{place} waits for the device {units.significant(count)} times a step"
        for place, count in calls[:NAMED]
    )
    busy = (
        ""
        if burst.busy_share is None
        else f" The device is busy for {units.share(burst.busy_share)}."
    )
    return Finding(
        kind="sync_bound",
        severity=judged,
        share=share,
        message=(
            f"Calls that wait for the device leave it idle during {units.share(share)} of the epoch:"
            f" {units.seconds(per_step_s(evidence, found, found.seconds['sync']))} of a step."
        ),
        try_next=f"Do without it at every step: {where}.",
        stage=where,
        removable_s=found.removable_s.get("sync"),
        evidence=(f"{told}.{busy}",),
    )
