"""A shallower network: one block fewer per stage, so that compute falls in proportion.

4 to 3 is what the guide that perfkit comes from advises. Nothing falls faster than in proportion: that is
the bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

if TYPE_CHECKING:
    from perfkit.diagnosis.judge import Judgement

ANSWERS = ("compute_bound",)
SNIPPET = """\
model = Network(num_blocks={blocks})  # was {before}
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the network takes the time and its depth is a setting of ours."""
    config = evidence.config
    before = config.count_of("num_blocks")
    blocks = before - 1
    if config.arch not in _seen.IMAGES or blocks < 1:
        return None
    if judgement.primary not in ("compute_bound", "balanced"):
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        left = blocks / before
        computes = _seen.computes_faster(1 / left)(pipeline)
        return replace(computes, update_s=pipeline.update_s * left)

    return Proposal(
        why=f"With {_seen.count(before, 'block')} per stage computing takes"
        f" {_seen.takes(evidence, 'compute')}.",
        risk="It is another network, which may be less accurate.",
        snippet=SNIPPET.format(blocks=blocks, before=before),
        variant=f"num_blocks={blocks}",
        effect=effect,
        basis="bound",
        changes_training=True,
    )
