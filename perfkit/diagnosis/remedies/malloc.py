"""Freed host memory is kept: by default glibc gives large blocks back and has them zeroed anew each step.

The same step took 53 ms in processes that kept their memory and 62 to 66 ms in those that did not: the
bound is 66 ÷ 53.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound",)
MOST = 66 / 53
SNIPPET = """\
import ctypes

libc = ctypes.CDLL("libc.so.6")
libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: give nothing back
libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for each large tensor
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it on a CPU under Linux whose training computes, where memory is given back."""
    os_name = str(evidence.environment.get("os", "Linux"))
    if not evidence.on_cpu or evidence.config.malloc == "keep" or not os_name.startswith("Linux"):
        return None
    if _seen.share(evidence, "compute") < _seen.INPUT_SHARE:
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        faster = _seen.computes_faster(MOST)(pipeline)
        return replace(faster, update_s=pipeline.update_s / MOST)

    return Proposal(
        why=f"Freed memory is given back to the system and zeroed anew while computing takes"
        f" {_seen.takes(evidence, 'compute')}.",
        risk="The process holds on to memory that it does not use at the moment;"
        " the training stays the same.",
        snippet=SNIPPET,
        variant="malloc=keep",
        effect=effect,
        basis="bound",
    )
