"""A narrower network: three quarters of the channels, so that compute falls with their square.

64 to 48 is what the guide that perfkit comes from advises. Nothing falls faster than with the square:
that is the bound.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
LEAST = 8
SNIPPET = """\
model = Network(base_channels={channels})  # was {before}
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the network takes the time and its width is a setting of ours."""
    before = evidence.config.count_of("base_channels")
    channels = 3 * before // 4
    if channels < LEAST:
        return None
    return _alike.smaller_network(
        evidence,
        judgement,
        f"base_channels={channels}",
        has=f"{before} channels",
        left=(channels / before) ** 2,
        snippet=SNIPPET.format(channels=channels, before=before),
    )
