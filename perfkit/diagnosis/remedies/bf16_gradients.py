"""Gradients exchanged in bfloat16: half the bytes of FP32's, and at best half the time.

Source: `torch.distributed.algorithms.ddp_comm_hooks`, which has it as a hook. That the exchange goes by its
bytes, not by its latency, is not known, so that the gain is a bound. 3 %
is XProf's threshold for collectives.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("communication_bound",)
BYTES = 0.5
SNIPPET = """\
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

model = torch.nn.parallel.DistributedDataParallel(model)
model.register_comm_hook(state=None, hook=default_hooks.bf16_compress_hook)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where DistributedDataParallel exchanges gradients for a time that matters."""
    told = evidence.communication
    if told is None or not told.reduces:
        return None
    if _seen.share(evidence, "communication") < _seen.OTHER_SHARE:
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, communication_s=pipeline.communication_s * BYTES)

    return Proposal(
        why=f"Ranks exchange gradients for {_seen.takes(evidence, 'communication')}.",
        risk="Sums of gradients have eight bits then: hold the losses of some epochs against those of now."
        " Where gradients are in 16 bits already it saves nothing.",
        snippet=SNIPPET,
        effect=effect,
        basis="bound",
        changes_training=True,
    )
