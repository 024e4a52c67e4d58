"""Mixed precision in float16 with a gradient scaler: matrix units are faster in it, activations halve.

On NVIDIA's matrix units float16 has 16 times the rate of FP32 (A100: 312 and 19.5 TFLOP/s, its
whitepaper); that is the bound. The scaler's check for infinities costs a synchronisation a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

if TYPE_CHECKING:
    from perfkit.diagnosis.judge import Judgement

ANSWERS = ("compute_bound",)
BY_THE_UNITS = 16.0
"""Most that products can become faster."""
SLOWER = ("fp32", "tf32")
"""Precisions that it is faster than."""
SNIPPET = """\
scaler = torch.amp.GradScaler("cuda")
with torch.autocast(device_type="cuda", dtype=torch.float16):
    loss = criterion(model(inputs), targets)
scaler.scale(loss).backward()
scaler.step(optimizer)
scaler.update()
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it on CUDA, where the network's arithmetic takes time in a wider precision."""
    if _seen.precision(evidence) not in SLOWER or not _seen.is_cuda(evidence):
        return None
    if _seen.share(evidence, "compute") < _seen.INPUT_SHARE:
        return None
    return Proposal(
        why=f"Forward, backward and update in {_seen.precision(evidence)} take"
        f" {_seen.takes(evidence, 'compute')}.",
        risk="Products have 11 bits of mantissa and a small range, and the scaler skips some early updates:"
        " compare a few epochs.",
        snippet=SNIPPET,
        variant="amp",
        effect=_seen.computes_faster(BY_THE_UNITS),
        basis="bound",
        changes_training=True,
    )
