"""A deeper queue: batches that are ready ride out a stall of the loader.

It helps only a loader that is fast enough on average; what it hides of each wait is what the added
batches last.
"""

from __future__ import annotations

import math
from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import epoch_s, pipeline_of
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound",)
MOST = 32
"""Batches per worker; more of them is memory that nobody plans for."""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return the depth that hides the longest wait, where waits are stalls and not too slow a loader."""
    now = pipeline_of(evidence)
    if now is None or now.workers == 0 or not now.waits_s or now.training_s <= 0:
        return None
    stalled_s = now.batches * now.stalls_s
    assert evidence.attribution is not None
    if stalled_s < _seen.INPUT_SHARE * evidence.attribution.epoch_s:
        return None
    longest_s = max(now.waits_s)
    more = math.ceil(longest_s / now.training_s / now.workers)
    prefetch = min(MOST, now.prefetch + more)
    if epoch_s(replace(now, prefetch=prefetch)) >= epoch_s(now):
        return None
    return Proposal(
        why=f"The loader is fast enough on average, and single waits of up to {units.seconds(longest_s)}"
        f" still cost {_seen.of_epoch(evidence, stalled_s)}.",
        risk=f"Up to {now.workers * prefetch} batches lie ready in host memory;"
        " the training stays the same.",
        snippet=_alike.loader_snippet(num_workers=now.workers, prefetch_factor=prefetch),
        variant=f"prefetch_factor={prefetch}",
        effect=lambda pipeline: replace(pipeline, prefetch=prefetch),
    )
