"""Twice the batch with twice the learning rate: a fuller device, and costs of a step are paid half as often.

Linear scaling: Goyal et al. 2017, arXiv:1706.02677. The bound is a step that takes no longer with twice
the samples, but for making, handing over and copying them.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound", "host_bound", "sync_bound", "communication_bound")
TIMES = 2
KINDS = ("compute_bound", "host_bound", "sync_bound", "communication_bound", "balanced")
"""Primary verdicts that a larger batch can answer."""
SNIPPET = """\
batch_size = {batch}  # was {before}
learning_rate *= {times}
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where steps themselves take the time, an epoch has enough of them, and memory may suffice."""
    config = evidence.config
    batch = TIMES * config.batch_size
    if judgement.primary not in KINDS or config.num_samples < 2 * batch:
        return None
    peak, total = _memory(evidence)
    if peak is not None and total is not None and TIMES * peak > total:
        return None
    if _seen.compute_share(evidence) < _seen.INPUT_SHARE:
        return None
    fits = (
        "whether it fits into memory is not known"
        if peak is None or total is None
        else f"it needs at most {units.size(TIMES * peak)} of the {units.size(total)} there are"
    )
    return Proposal(
        why=f"Steps of {_seen.count(config.batch_size, 'sample')} take"
        f" {_seen.takes(evidence, 'compute')}.",
        risk=f"Half as many updates of twice the size train differently, and {fits}.",
        snippet=SNIPPET.format(batch=batch, before=config.batch_size, times=TIMES),
        variant=f"batch_size={batch}+scale_lr=1",
        effect=_twice,
        basis="bound",
        changes_training=True,
    )


def _twice(pipeline: Pipeline) -> Pipeline:
    grown = pipeline.produces(
        blocked_s=TIMES * pipeline.blocked_s,
        cpu_s=TIMES * pipeline.cpu_s,
        aside_s=TIMES * pipeline.aside_s,
    )
    return replace(
        grown,
        batches=pipeline.batches / TIMES,
        h2d_s=TIMES * pipeline.h2d_s,
        hidden_s=TIMES * pipeline.hidden_s,
        transfer_s=TIMES * pipeline.transfer_s,
        fixed_s=TIMES * pipeline.fixed_s,
        stalls_s=TIMES * pipeline.stalls_s,
    )


def _memory(evidence: Evidence) -> tuple[int | None, int | None]:
    """Peak and total bytes of the device, or of the host where the training runs on it."""
    row, found = evidence.row, evidence.environment
    limit = evidence.config.memory_limit_bytes
    if evidence.on_cpu:
        return row.peak_rss_bytes, limit or found.get("memory_bytes")
    return row.peak_reserved_bytes, limit or found.get("device_memory_bytes")
