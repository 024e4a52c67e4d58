"""TensorFloat-32: products of FP32 tensors on the matrix units, with 10 bits of mantissa.

On NVIDIA's matrix units TF32 has 8 times the rate of FP32 (A100: 156 and 19.5 TFLOP/s, its whitepaper);
that is the bound.
"""

from __future__ import annotations

from perfkit import variants
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
BY_THE_UNITS = 8.0
"""Most that products can become faster."""
SNIPPET = """\
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.allow_tf32 = True
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where arithmetic takes time in FP32, and the device has units for it."""
    if variants.get("tf32").supported(_seen.device(evidence)) is not None:
        return None
    return _alike.lower_precision(
        evidence,
        "tf32",
        than=("fp32",),
        at_most=BY_THE_UNITS,
        risk="Products have 10 bits of mantissa instead of 23, which most trainings do not notice.",
        snippet=SNIPPET,
    )
