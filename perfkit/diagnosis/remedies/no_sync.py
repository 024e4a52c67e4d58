"""Gradients exchanged once for each update; DistributedDataParallel does it in every backward if not told.

Where gradients of several batches are added up for one update, only the last of them needs the exchange
(`DistributedDataParallel.no_sync`). A quarter of the exchanges is the least that is told, for a scaler that
skips an update is no accumulation; 3 % is XProf's threshold for collectives.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("communication_bound",)
LEAST_NEEDLESS = 0.25
SNIPPET = """\
import contextlib

updates = (step + 1) % accumulate == 0
with contextlib.nullcontext() if updates else model.no_sync():
    loss = criterion(model(inputs), targets) / accumulate
    loss.backward()
if updates:
    optimizer.step()
    optimizer.zero_grad()
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where gradients are exchanged that no update follows."""
    told = evidence.communication
    share = _seen.share(evidence, "communication")
    if told is None or told.needless_share < LEAST_NEEDLESS or share < _seen.OTHER_SHARE:
        return None
    needless = told.needless_share

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, communication_s=pipeline.communication_s * (1 - needless))

    return Proposal(
        why=f"Ranks exchange gradients for {_seen.takes(evidence, 'communication')}, {units.share(needless)}"
        " of it for batches that no update follows.",
        risk="Each rank keeps its own gradients until the exchange; the sums are the same but for rounding.",
        snippet=SNIPPET,
        effect=effect,
    )
