"""Share of the epoch spent between steps: evaluation, metrics, plots.

Why it matters: the model learns nothing in that time, and how often it is spent is a free choice.
What to try: the most expensive of them less often. Source: the thresholds are those
that XProf's input-pipeline analyzer has for "all other" time: 3 % moderate, 15 % high.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
STEP_PARTS = ("steps", "partial_batch", "epoch_start")
"""Parts of an epoch that are training or its start; every other part is periodic work."""


def check(evidence: Evidence) -> Finding | None:
    """Return evaluation and periodic work as a share of the epoch, where it is moderate or high."""
    parts = {n: s for n, s in evidence.row.epoch_parts_s.items() if n not in STEP_PARTS}
    share = evidence.share_of_epoch(sum(parts.values()))
    judged = None if share is None else severity(share, MODERATE_SHARE, HIGH_SHARE)
    if share is None or judged is None:
        return None
    ordered = sorted(parts, key=lambda name: -parts[name])
    told = ", ".join(f"{name} {units.seconds(parts[name])}" for name in ordered if parts[name] > 0)
    return Finding(
        kind="periodic_bound",
        severity=judged,
        share=share,
        message=f"Work between steps takes {units.share(share)} of an average epoch: {told}.",
        try_next=_advice(ordered[0], evidence),
    )


def _advice(largest: str, evidence: Evidence) -> str:
    setting, every = {
        "metrics": ("metrics_every", evidence.config.metrics_every),
        "visualisation": ("viz_every", evidence.config.viz_every),
    }.get(largest, (None, 0))
    if setting is not None and every > 0:
        return f"Add a row with {largest} half as often: --variant {setting}={2 * every}"
    if largest == "evaluation":
        return "Evaluate every few epochs, or on fewer samples."
    return f"Do {largest} less often."
