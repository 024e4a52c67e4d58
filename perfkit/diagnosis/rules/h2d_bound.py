"""Share of the epoch that copying batches to the device takes.

Why it matters: the device computes nothing while it waits for its input, and pageable memory makes the host
wait, too. What to try: pinned memory with `non_blocking=True`, which lets copies run beside kernels; smaller
types (uint8 images, normalised on the device). Source: 5 % and 20 % as for waiting for batches
(`input_bound`); TraceML counts copies as input as well.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20


def check(evidence: Evidence) -> Finding | None:
    """Return copying as a share of the epoch, where it is moderate or high; not applicable on a CPU."""
    found = attributed(evidence)
    if found is None or evidence.on_cpu or "h2d" not in found.removable_s:
        return None
    share = found.seconds["h2d"] / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    copy_s = per_step_s(evidence, found, found.seconds["h2d"])
    pinned = evidence.config.pin_memory
    whose = "the device's" if evidence.row.phases_clock == "device" else "the host's"
    memory = "Batches are pinned" if pinned else "Batches lie in pageable memory"
    return Finding(
        kind="h2d_bound",
        severity=judged,
        share=share,
        message=(
            f"Copying batches to the device takes {units.share(share)} of the epoch:"
            f" {units.seconds(copy_s)} of a step of {units.seconds(found.step_s)}."
        ),
        try_next=(
            "Copy less: uint8 images normalised on the device, or copies on a stream of their own."
            if pinned
            else "Add a row with pinned memory: --variant pin_memory=1"
        ),
        flags=() if pinned else ("pageable",),
        removable_s=found.removable_s["h2d"],
        evidence=(f"{memory}: a copy takes {units.seconds(copy_s)} of {whose} time.",),
    )
