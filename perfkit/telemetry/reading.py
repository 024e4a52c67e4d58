"""Values that may be missing, and the reasons why: what every source of telemetry returns."""

from __future__ import annotations

from dataclasses import dataclass, field

REASONS = {
    "not_supported": "the device or its driver does not offer this value",
    "no_permission": "the system does not let this user read it",
    "no_driver": "no working NVIDIA driver was found",
    "no_data": "nothing was measured in this time",
    "gpu_lost": "the GPU fell off the bus or needs a reset",
    "window_too_short": "what was timed is shorter than the time that this value looks back over",
    "error": "reading it failed",
    "no_memory": "there was no memory left for it",
    "not_on_this_os": "only Linux tells this",
    "not_applicable": "no GPU was in use",
}
"""Reason codes, as `unavailable` stores them, in words."""


@dataclass(frozen=True)
class Problem:
    """Why something cannot be read."""

    code: str
    """A key of `REASONS`."""
    detail: str
    """What the system said, in its own words."""


@dataclass(frozen=True)
class Reading:
    """Named values of one moment; a None has its reason code under the same name."""

    values: dict[str, float | None] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
