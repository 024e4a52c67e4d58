"""Part of the measured time in which the device held its clock down, for heat or for a power brake.

Why it matters: every kernel is slower, whatever is changed in the training. What to try: cooling, a lower
power limit that is held steadily. A device at its ordinary power cap is at work, and not told here.
Source: the driver's counters of thermal slowdown and power brake (NVML fields 269 to 271); 3 % and 15 % are
those of everything else that is not training.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.attribution import attributed
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding
from perfkit.stats import Interval

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
CAUSES = {"thermal_slowdown_share": "heat", "power_brake_share": "a power brake"}
"""Telemetry: part of the time that the device slowed itself, by why; None where it is not told."""


def check(evidence: Evidence) -> Finding | None:
    """Return the larger cause as a part of the measured time; nothing where none was read, or on a CPU."""
    found = {} if evidence.on_cpu else evidence.telemetry or {}
    known = {name: share for name in CAUSES if (share := found.get(name)) is not None}
    name = max(known, key=lambda one: known[one], default=None)
    judged = None if name is None else severity(known[name], MODERATE_SHARE, HIGH_SHARE)
    if name is None or judged is None:
        return None
    told = [
        f"The driver counts {units.share(known[name])} of the time as slowed for {CAUSES[name]}."
    ]
    clock, top = found.get("sm_clock_hz"), found.get("sm_clock_max_hz")
    slower = None
    if clock and top:
        told.append(f"The clock was {clock / 1e6:.0f} MHz of {top / 1e6:.0f}.")
        slower = max(0.0, 1 - clock / top)
    epoch = attributed(evidence)
    saved = None
    if epoch is not None and slower is not None:
        # nothing is known of a part that does not follow the clock: the device's computing does at most
        saved = Interval(epoch.seconds["compute"] * slower)
    return Finding(
        kind="throttled",
        severity=judged,
        share=known[name],
        message=(
            f"The device slowed itself down during {units.share(known[name])} of the time, for"
            f" {CAUSES[name]}."
        ),
        try_next="Look at the device's cooling and power, then measure again: nvidia-smi -q -d PERFORMANCE",
        removable_s=saved,
        evidence=tuple(told),
    )
