"""Part of the measured time in which somebody else's load ran beside the training.

Why it matters: what is measured there is the machine's, not the training's. What to try: measure again when
nobody else computes. Source: from a quarter of the blocks on, intervals are about the other load (one foreign
busy core turned a step of 21 ms into 700 ms with two spinning threads); half of them is most of it.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import witnesses
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = witnesses.DISTURBED_SHARE
HIGH_SHARE = 0.50


def check(evidence: Evidence) -> Finding | None:
    """Return the part of the blocks that were disturbed, where it is more than a quarter."""
    blocks = evidence.stretches
    share = witnesses.disturbed_share(evidence)
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None or share <= MODERATE_SHARE:
        return None
    count = sum(block.disturbed for block in blocks)
    return Finding(
        kind="disturbed",
        severity=judged,
        share=share,
        message=f"Somebody else's load ran during {units.share(share)} of what was measured.",
        try_next="Run again when the machine is quiet.",
        evidence=(f"{count} of {len(blocks)} blocks ran beside somebody else's load.",),
    )
