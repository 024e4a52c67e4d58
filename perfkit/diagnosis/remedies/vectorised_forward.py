"""A forward without loops of Python: where it takes longer than backward, it does what backward does not.

Backward computes two products for each one of forward and takes about twice as long (Hobbhahn and Sevilla,
"What's the backward-forward FLOP ratio for neural networks?", Epoch AI 2021). What only forward has leaves
no gradients: targets that are matched in a loop, indices, tensors read back. What is left without it is seen
only when it runs, so that the gain is a bound: forward in half of backward's time.
"""

from __future__ import annotations

from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound", "host_bound")
SNIPPET = """\
# whole tensors in place of a loop over samples; what needs no gradient can be made by the loader's workers
matched = (overlaps > threshold).any(dim=1)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where forward takes longer than backward, and most of that is no network's computing."""
    effect = _seen.forward_as_backward(evidence)
    if effect is None or _seen.in_a_network(evidence):
        return None
    return Proposal(
        why=figures.of_long_forward(evidence),
        risk="What is computed with gradients has to stay the same, or it trains differently.",
        snippet=SNIPPET,
        effect=effect,
        basis="bound",
    )
