"""A shallower network: one block fewer per stage, so that compute falls in proportion.

4 to 3 is what the guide that perfkit comes from advises. Nothing falls faster than in proportion: that is
the bound.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
SNIPPET = """\
model = Network(num_blocks={blocks})  # was {before}
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the network takes the time and its depth is a setting of ours."""
    before = evidence.config.count_of("num_blocks")
    blocks = before - 1
    if blocks < 1:
        return None
    return _alike.smaller_network(
        evidence,
        judgement,
        f"num_blocks={blocks}",
        has=f"{_seen.count(before, 'block')} per stage",
        left=blocks / before,
        snippet=SNIPPET.format(blocks=blocks, before=before),
    )
