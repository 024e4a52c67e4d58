"""Fewer loader workers: nobody waits for them, and they take cores or hand over what was in memory.

Whether a worker helps is arithmetic; what workers that fight for cores cost is at most what contention
takes.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline, epoch_s, pipeline_of
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("contended", "input_bound/transfer")
SNIPPET = (
    "loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers={workers})\n"
)


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return fewer workers where the training is no slower for it and workers cost it something."""
    now, facts = pipeline_of(evidence), evidence.loader
    if now is None or now.workers == 0 or facts is None or facts.made_s is None:
        return None
    if _seen.held_up_s(evidence) > 0:
        # handing over waits for what workers compute, which fewer of them do not compute any faster
        return None
    costs = {part: _seen.share(evidence, part) for part in ("transfer", "contention")}
    if max(costs.values()) < _seen.OTHER_SHARE:
        return None
    if epoch_s(replace(now, workers=0)) < epoch_s(now):
        return _proposal(evidence, 0, max(costs, key=lambda part: costs[part]), fights=False)
    enough = next(
        (n for n in range(1, now.workers) if epoch_s(replace(now, workers=n)) <= epoch_s(now)), None
    )
    if enough is None or costs["contention"] < _seen.OTHER_SHARE:
        return None
    return _proposal(evidence, enough, "contention", fights=True)


def _proposal(evidence: Evidence, workers: int, part: str, *, fights: bool) -> Proposal:
    def effect(pipeline: Pipeline) -> Pipeline:
        contention_s = 0.0 if fights else pipeline.contention_s
        return replace(pipeline, workers=workers, contention_s=contention_s)

    what = (
        "Workers that are not needed take cores from the training"
        if fights
        else "Making batches in the training process costs less than workers do"
    )
    return Proposal(
        why=f"{what}: {part} takes {_seen.takes(evidence, part)}.",
        risk="Batches whose production varies may be waited for; the training stays the same.",
        snippet=SNIPPET.format(workers=workers),
        variant=f"num_workers={workers}",
        effect=effect,
        basis="bound" if fights else "arithmetic",
    )
