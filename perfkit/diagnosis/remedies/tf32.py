"""TensorFloat-32: products of FP32 tensors on the matrix units, with 10 bits of mantissa.

On NVIDIA's matrix units TF32 has 8 times the rate of FP32 (A100: 156 and 19.5 TFLOP/s, its whitepaper);
that is the bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfkit import variants
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

if TYPE_CHECKING:
    from perfkit.diagnosis.judge import Judgement

ANSWERS = ("compute_bound",)
BY_THE_UNITS = 8.0
"""Most that products can become faster."""
SLOWER = ("fp32",)
"""Precisions that it is faster than."""
SNIPPET = """\
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.allow_tf32 = True
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where arithmetic takes time in FP32, and the device has units for it."""
    device = _seen.device(evidence)
    if (
        _seen.precision(evidence) not in SLOWER
        or variants.get("tf32").supported(device) is not None
    ):
        return None
    if _seen.share(evidence, "compute") < _seen.INPUT_SHARE:
        return None
    return Proposal(
        why=f"Forward, backward and update in {_seen.precision(evidence)} take"
        f" {_seen.takes(evidence, 'compute')}.",
        risk="Products have 10 bits of mantissa instead of 23, which most trainings do not notice.",
        snippet=SNIPPET,
        variant="tf32",
        effect=_seen.computes_faster(BY_THE_UNITS),
        basis="bound",
        changes_training=True,
    )
