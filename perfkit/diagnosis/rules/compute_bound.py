"""Share of the epoch that forward, backward and update take, where little else could be removed.

Why it matters: only then is a faster model, a lower precision or another device the answer. What to try:
mixed precision, compiling, a lighter network.
Source: 50 % and 80 % of the epoch say how much; that all that is removable is under 10 % of it is the
design's condition. A model that reaches half the rate of a large matrix product measured in place is near its
roofline: the best published training of transformers has 52 % of a peak (Narayanan et al., 2021,
arXiv 2104.04473).
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures, witnesses
from perfkit.diagnosis.attribution import per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.50
HIGH_SHARE = 0.80
REMOVABLE_SHARE = 0.10
"""From this part of the epoch on, what is removable is more than little."""
NEAR_ROOFLINE = 0.5
COMPUTING = ("forward", "backward", "optimizer")
LONG_UPDATE = 1 / 3
"""Of computing. An update reads and writes each weight a few times; a product with a batch of more than a few
samples does more than that."""
LAUNCHING_SHARE = 0.15
"""Of forward and backward, for as many of the smallest operators; those of a model take longer. LSTMs written
by hand, whose step was nothing else, came to 0.18 and 0.29, convolutions to 0.01."""


def check(evidence: Evidence) -> Finding | None:
    """Return computing as a share of the epoch, where the epoch was attributed and nothing else is much.

    Without attribution (a row of bench) it is silent. So it is where waiting is not known, and on a CPU
    whose cores are full while nobody says what workers and trainer cost each other.
    """
    found = evidence.attribution
    if found is None or "waiting" not in found.removable_s:
        return None
    left = removable_share(found)
    if left >= REMOVABLE_SHARE or contention_is_open(evidence, found):
        return None
    seconds = found.seconds["compute"]
    share = seconds / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    roof, phases_s = evidence.row.gemm_ceiling_share, evidence.row.phases_s
    told = [
        f"Forward, backward and update take {units.seconds(per_step_s(evidence, found, seconds))} of a step"
        f" of {units.seconds(found.step_s)}; all else that could be removed is {units.share(left)} of the"
        " epoch."
    ]
    update_s = phases_s.get("optimizer", 0.0)
    if update_s >= LONG_UPDATE * sum(phases_s.get(name, 0.0) for name in COMPUTING):
        told.append(
            f"The optimizer's update takes {units.seconds(update_s)} of that: it goes by the number of"
            " weights, whatever the batch."
        )
    if evidence.long_forward:
        # it says where to look: that is why, before how much it is
        told.insert(0, figures.of_long_forward(evidence))
    operators = None if evidence.dispatch is None else evidence.dispatch.operators_share
    if evidence.attached and operators is not None and operators >= LAUNCHING_SHARE:
        told.append(
            "Its operators are many and small: launching as many of the smallest takes"
            f" {units.share(min(operators, 1.0))} of forward and backward. A larger batch, or torch.compile,"
            " makes fewer of them."
        )
    if roof is not None:
        told.append(
            f"The model computes at {units.share(roof)} of the rate of a large matrix product here."
        )
    return Finding(
        kind="compute_bound",
        severity=judged,
        share=share,
        message=f"Computing takes {units.share(share)} of the epoch, and little else could be removed.",
        try_next="Add rows that compute faster: --variant bf16, --variant compile",
        stage="near_roofline" if roof is not None and roof >= NEAR_ROOFLINE else None,
        evidence=tuple(told),
    )


def removable_share(found: Attribution) -> float:
    """Return all that is removable, together, as a share of the epoch."""
    return sum(one.value for one in found.removable_s.values()) / found.epoch_s


def contention_is_open(evidence: Evidence, found: Attribution) -> bool:
    """Whether workers and trainer share cores that are full, and nobody says what that costs."""
    if not evidence.on_cpu or evidence.config.num_workers == 0:
        return False
    if "contention" in found.removable_s:
        return False
    full = witnesses.cores_full(evidence)
    if full is None:
        cores = evidence.cores
        return cores is None or evidence.config.num_workers + evidence.config.num_threads > cores
    return full
