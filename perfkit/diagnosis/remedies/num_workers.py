"""More loader workers, as many as are needed and no more: batches are made side by side.

Where production computes (decoding, augmenting), only cores that the trainer leaves free help; where it
is blocked (storage, network), workers beyond the cores do. Source: 5 % of the epoch is XProf's threshold
for input.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline, epoch_s, pipeline_of
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound",)
MOST = 64
"""Workers; nobody needs more on one machine."""
WITHIN = 0.01
"""More workers that make an epoch less than this part faster are too many."""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return the number that is needed, where batches are waited for because they are not made yet."""
    if _seen.share(evidence, "waiting") < _seen.INPUT_SHARE or _seen.stage(judgement) == "transfer":
        return None
    if evidence.waited:
        # whatever makes the batches, it is no worker of a loader that the training goes over
        return None
    now = pipeline_of(evidence)
    workers = None if now is None else _needed(now, evidence, judgement)
    if now is None or workers is None or workers <= now.workers:
        return None
    has = _seen.count(now.workers, "worker") if now.workers else "the training process itself"
    production = units.seconds(now.production_s)
    return Proposal(
        why=f"A batch takes {production} to make, and {has} made it"
        f" while the training waited {_seen.takes(evidence, 'waiting')}.",
        risk="Each worker holds a copy of the dataset object and its prefetched batches in memory;"
        " random augmentation draws other numbers, else the training stays the same.",
        snippet=_alike.loader_snippet(num_workers=workers, persistent_workers=True),
        variant=f"num_workers={workers}",
        effect=lambda pipeline: replace(pipeline, workers=workers),
    )


def _needed(now: Pipeline, evidence: Evidence, judgement: Judgement) -> int | None:
    """Return the judge's number, else the fewest that are as fast as the most; capped by free cores."""
    most = MOST
    free = _seen.free_cores(evidence)
    if free is not None and now.cpu_s > now.blocked_s:
        most = free
    elif free is not None and now.cpu_s > 0:
        # blocked workers leave their cores to others
        most = min(MOST, int(free * now.production_s / now.cpu_s))
    if judgement.workers_needed is not None:
        return min(judgement.workers_needed, most)
    if now.workers and now.production_s <= now.workers * now.training_s:
        # fast enough on average: its stalls are a matter of the queue
        return None
    epochs = {n: epoch_s(replace(now, workers=n)) for n in range(now.workers + 1, most + 1)}
    best = min(epochs.values(), default=0.0)
    return next((n for n, seconds in epochs.items() if seconds <= best * (1 + WITHIN)), None)
