"""Mixed precision in bfloat16: matrix units take it at a higher rate, and activations halve.

On NVIDIA's matrix units bfloat16 has 16 times the rate of FP32 (A100: 312 and 19.5 TFLOP/s, its
whitepaper), and so have AMX units on a CPU; that is the bound. On a CPU it can be slower: 0.88 times on
one processor here, 1.23 on another.
"""

from __future__ import annotations

from perfkit import variants
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
BY_THE_UNITS = 16.0
"""Most that products can become faster."""
SNIPPET = """\
with torch.autocast(device_type=device.type, dtype=torch.bfloat16):
    loss = criterion(model(inputs), targets)
loss.backward()
optimizer.step()
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where arithmetic takes time in a wider precision, and the device has units for it."""
    device = _seen.device(evidence)
    if variants.get("bf16").supported(device) is not None or not device.bf16_native:
        return None
    return _alike.lower_precision(
        evidence,
        "bf16",
        than=("fp32", "tf32"),
        at_most=BY_THE_UNITS,
        risk="Products have 8 bits of mantissa: losses differ slightly, so compare a few epochs;"
        " on a CPU it can be slower.",
        snippet=SNIPPET,
    )
