"""The lighter architecture: a plain convolutional network of ConvNeXt's interface.

It has some five times fewer operations; that is the bound.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
LIGHTER = 5.0
"""As `training/workloads/baseline.py` says."""
SNIPPET = """\
model = Baseline(base_channels={channels}, num_blocks={blocks})
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where our ConvNeXt takes the time."""
    config = evidence.config
    if config.arch != "convnext" or judgement.primary not in ("compute_bound", "balanced"):
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        computes = _seen.computes_faster(LIGHTER)(pipeline)
        return replace(computes, update_s=pipeline.update_s / LIGHTER)

    return Proposal(
        why=f"The ConvNeXt computes for {_seen.takes(evidence, 'compute')}.",
        risk="It is another network, which may be less accurate.",
        snippet=SNIPPET.format(
            channels=config.count_of("base_channels"), blocks=config.count_of("num_blocks")
        ),
        archs=("baseline",),
        effect=effect,
        basis="bound",
        changes_training=True,
    )
