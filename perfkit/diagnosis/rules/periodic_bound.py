"""Share of the epoch spent between steps: evaluation, metrics, plots.

Why it matters: the model learns nothing in that time, and how often it is spent is a free choice.
What to try: the most expensive of them less often. Source: the thresholds are those
that XProf's input-pipeline analyzer has for "all other" time: 3 % moderate, 15 % high.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.attribution import OWN_PARTS, attributed
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15
STEP_PARTS = tuple(name for name in OWN_PARTS if name != "evaluation")
"""Parts of an epoch that are training or its start; every other part is periodic work."""
OURS = (
    "evaluation", "checkpoint", "metrics", "visualisation", "periodic", "work between steps",
    "work between epochs",
)  # fmt: skip
"""Words for periodic work; every other name of it is the user's own."""


def check(evidence: Evidence) -> Finding | None:
    """Return evaluation and periodic work as a share of the epoch, where it is moderate or high."""
    found = attributed(evidence)
    if found is None:
        return None
    parts = {n: s for n, s in evidence.row.epoch_parts_s.items() if n not in STEP_PARTS and s > 0}
    share = sum(parts.values()) / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    ordered = sorted(parts, key=lambda name: -parts[name])
    told = ", ".join(f"{name} {units.seconds(parts[name])}" for name in ordered)
    return Finding(
        kind="periodic_bound",
        severity=judged,
        share=share,
        message=f"Work between steps takes {units.share(share)} of an average epoch: {told}.",
        try_next=_advice(ordered[0], evidence),
        stage=ordered[0],
        removable_s=figures.together(found, ("periodic", "eval")),
        evidence=tuple(_of_one(name, parts[name], evidence) for name in ordered),
    )


def _setting(name: str, evidence: Evidence) -> tuple[str | None, int]:
    """The setting of how often something is done, and its value; None and 0 where it has none."""
    config = evidence.config
    return {
        "metrics": ("metrics_every", config.count_of("metrics_every")),
        "visualisation": ("viz_every", config.count_of("viz_every")),
    }.get(name, (None, 0))


def _of_one(name: str, seconds: float, evidence: Evidence) -> str:
    setting, every = _setting(name, evidence)
    if setting is not None and every > 1:
        return (
            f"One run of {name} takes {units.seconds(seconds * every)}, every {every} epochs:"
            f" {units.seconds(seconds)} of an average one."
        )
    what = name[:1].upper() + name[1:] if name in OURS else figures.own(name)
    inner = figures.mostly_in(evidence.work.get(name))
    return f"{what} takes {units.seconds(seconds)} of an average epoch{inner}."


def _advice(largest: str, evidence: Evidence) -> str:
    setting, every = _setting(largest, evidence)
    if setting is not None and every > 0:
        return f"Add a row with {largest} half as often: --variant {setting}={2 * every}"
    if largest == "evaluation":
        return "Evaluate every few epochs, or on fewer samples."
    return f"Do {largest if largest in OURS else figures.own(largest)} less often."
