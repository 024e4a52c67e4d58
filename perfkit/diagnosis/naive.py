"""What `nvidia-smi`'s utilisation alone suggests, and why that is right or wrong here.

Folklore: under 80 % the loader is to blame, over 95 % the model.
"""

from __future__ import annotations

from typing import Literal

from perfkit import units
from perfkit.diagnosis.evidence import Attribution, Evidence
from perfkit.document import NaiveReading, Verdict

LOADER_BELOW = 0.80
MODEL_ABOVE = 0.95
_TRUTH = {"input_bound": "loader", "compute_bound": "model"}
_TAKES = {
    "contended": "workers take the training's cores",
    "h2d_bound": "copies take the time",
    "sync_bound": "the device idles while the host waits in a synchronising call",
    "host_bound": "the device idles for the host's next launch",
    "communication_bound": "ranks wait for each other",
    "periodic_bound": "the time goes to work between steps",
    "startup_bound": "the time goes to starting",
    "throttled": "the device slowed itself down",
    "untracked": "the time goes to work that nothing here accounts for",
}


def naive_reading(
    evidence: Evidence, found: Attribution, primary: str, first: Verdict | None
) -> NaiveReading | None:
    """Return the reading beside the verdict; None where no utilisation was read."""
    share = evidence.row.gpu_util_share
    if share is None:
        return None
    blames: Literal["loader", "model"] | None = None
    if share < LOADER_BELOW:
        blames = "loader"
    elif share > MODEL_ABOVE:
        blames = "model"
    truth = _TRUTH.get(primary)
    concluded = primary != "inconclusive"
    waits = found.seconds["waiting"] + found.seconds["transfer"]
    return NaiveReading(
        gpu_util_share=share,
        blames=blames,
        is_right=concluded and blames == truth,
        why=_why(primary, blames, units.share(waits / found.epoch_s), first),
    )


def _why(primary: str, blames: str | None, waits: str, first: Verdict | None) -> str:
    ran = "it is the part of the time in which some kernel ran"
    if primary == "inconclusive":
        return f"{ran}, and what was measured does not tell more"
    if primary == "input_bound":
        handed = " to be handed over" if first is not None and first.stage == "transfer" else ""
        return f"the device stood idle for batches{handed} during {waits} of the epoch"
    if primary in ("compute_bound", "balanced"):
        waited = f"the device waited for batches during {waits} of the epoch only"
        if blames == "loader":
            return f"{waited}; {ran}, and short kernels leave gaps between them"
        return waited
    takes = _TAKES.get(primary, f"{primary.replace('_', ' ')} takes the time")
    return f"{takes}, and batches were waited for during {waits} of the epoch; {ran}"
