"""Fused optimizer: one kernel updates many parameters, where the default launches several.

The bound is an update that takes no time. 3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound", "host_bound")
SNIPPET = """\
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where updating the parameters takes time."""
    if _seen.has_variant(evidence, "fused_optimizer"):
        return None
    found = evidence.attribution
    share = _seen.update_share(evidence)
    if found is None or share < _seen.OTHER_SHARE:
        return None
    return Proposal(
        why=f"Updating the parameters takes {_seen.of_epoch(evidence, share * found.epoch_s)}.",
        risk="Not every optimizer has a fused form (Adam, AdamW and SGD have);"
        " rounding differs in the last bits, else the training stays the same.",
        snippet=SNIPPET,
        variant="fused_optimizer",
        effect=_seen.costs_nothing("update_s"),
        basis="bound",
    )
