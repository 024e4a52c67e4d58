"""Mixed precision in float16 with a gradient scaler: matrix units are faster in it, activations halve.

On NVIDIA's matrix units float16 has 16 times the rate of FP32 (A100: 312 and 19.5 TFLOP/s, its
whitepaper); that is the bound. The scaler's check for infinities costs a synchronisation a step.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
BY_THE_UNITS = 16.0
"""Most that products can become faster."""
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
    if not _seen.is_cuda(evidence):
        return None
    return _alike.lower_precision(
        evidence,
        "amp",
        than=("fp32", "tf32"),
        at_most=BY_THE_UNITS,
        risk="Products have 11 bits of mantissa and a small range, and the scaler skips some early updates:"
        " compare a few epochs.",
        snippet=SNIPPET,
    )
