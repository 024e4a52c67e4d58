"""Channels-last images and weights: convolutions on matrix units want it, and then need no transposes.

Convolutions are 1.5 to 2 times as fast, ResNet-50 as a whole 1.3 times (Composer's method card, V100,
A100); 0.91 to 0.99 of the step was measured on two CPU cores. The bound is forward and backward in half
the time.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
MOST = 2.0
"""Times that a convolution has become faster."""
SNIPPET = """\
model = model.to(memory_format=torch.channels_last)
for inputs, targets in loader:
    inputs = inputs.to(device, memory_format=torch.channels_last)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where a network with convolutions takes time and is not in that format."""
    if _seen.has_variant(evidence, "channels_last") or not _convolves(evidence):
        return None
    if _seen.share(evidence, "compute") < _seen.INPUT_SHARE:
        return None
    return Proposal(
        why=f"Convolutions in the contiguous format: computing takes {_seen.takes(evidence, 'compute')}.",
        risk="A layer that needs the contiguous format copies each time and gets slower;"
        " the training stays the same.",
        snippet=SNIPPET,
        variant="channels_last",
        effect=_seen.computes_faster(MOST),
        basis="bound",
    )


def _convolves(evidence: Evidence) -> bool:
    if evidence.config.arch in _seen.IMAGES:
        return True
    return evidence.burst is not None and any("conv" in o.name for o in evidence.burst.operators)
