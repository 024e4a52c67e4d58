"""Share of the epoch that is in nothing that is timed.

Why it matters: a verdict on the rest is a verdict on a part. What to try: name the work, as a periodic task
or a phase of its own. Source: 3 % and 15 % are what XProf's input-pipeline analyzer has for "all other" time.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding
from perfkit.stats import Interval

MODERATE_SHARE = 0.03
HIGH_SHARE = 0.15


def check(evidence: Evidence) -> Finding | None:
    """Return the residual as a share of the epoch, where it is moderate or high."""
    found = attributed(evidence)
    if found is None:
        return None
    seconds = found.seconds["other"]
    share = seconds / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    return Finding(
        kind="untracked",
        severity=judged,
        share=share,
        message=f"{units.share(share)} of the epoch is in none of the phases that are timed.",
        try_next=_advice(evidence),
        stage=next(iter(evidence.untracked), None),
        # what it is spent on is not known, so it may be all needed
        removable_s=Interval(seconds, 0.0, seconds),
        evidence=(
            f"{units.seconds(per_step_s(evidence, found, seconds))} of a step of"
            f" {units.seconds(found.step_s)} are outside of loading, copying, forward, backward and update.",
            *(
                f"{figures.own(name)} takes {units.share(one.share)} of them{figures.mostly_in(one)}."
                for name, one in evidence.untracked.items()
            ),
        ),
    )


def _advice(evidence: Evidence) -> str:
    name = next(iter(evidence.untracked), None)
    if name is None:
        return "Look at what the step does besides loading, forward, backward and update."
    return (
        f"If {figures.own(name)} makes batches, have workers of a DataLoader make them, or a thread that is"
        " one batch ahead."
    )
