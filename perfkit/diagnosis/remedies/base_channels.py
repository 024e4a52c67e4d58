"""A narrower network: three quarters of the channels, so that compute falls with their square.

64 to 48 is what the guide that perfkit comes from advises. Nothing falls faster than with the square:
that is the bound.
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
LEAST = 8
SNIPPET = """\
model = Network(base_channels={channels})  # was {before}
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the network takes the time and its width is a setting of ours."""
    config = evidence.config
    before = config.count_of("base_channels")
    channels = 3 * before // 4
    if config.arch not in _seen.IMAGES or channels < LEAST:
        return None
    if judgement.primary not in ("compute_bound", "balanced"):
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        left = (channels / before) ** 2
        computes = _seen.computes_faster(1 / left)(pipeline)
        return replace(computes, update_s=pipeline.update_s * left)

    return Proposal(
        why=f"With {before} channels computing takes {_seen.takes(evidence, 'compute')}.",
        risk="It is another network, which may be less accurate.",
        snippet=SNIPPET.format(channels=channels, before=before),
        variant=f"base_channels={channels}",
        effect=effect,
        basis="bound",
        changes_training=True,
    )
