"""OpenMP threads that sleep where they would spin while they wait for each other.

A spinning thread holds a core that a worker needs, and a thread without a core is waited for by all the
others: with one foreign busy core a step of 28.6 ms took 62.7 ms with spinning threads and 40 ms with
sleeping ones.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("contended",)
SNIPPET = """\
import os

os.environ["OMP_WAIT_POLICY"] = "passive"  # before torch is imported
import torch
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where several threads train and workers slow them down."""
    if not evidence.on_cpu or evidence.config.num_threads < 2:
        return None
    if _seen.share(evidence, "contention") < _seen.OTHER_SHARE:
        return None
    variables = evidence.environment.get("variables") or {}
    if str(variables.get("OMP_WAIT_POLICY", "")).lower() == "passive":
        return None
    return Proposal(
        why=f"Workers slow {evidence.config.num_threads} training threads down, which costs"
        f" {_seen.takes(evidence, 'contention')}, and threads that wait spin on their cores.",
        risk="Where nobody else wants the cores, waking threads up makes a step slightly slower;"
        " the training stays the same.",
        snippet=SNIPPET,
        effect=_sleeping,
        basis="bound",
    )


def _sleeping(pipeline: Pipeline) -> Pipeline:
    """At best nobody contends, and of the cores that threads hold only one is needed all the time."""
    needed = min(pipeline.trainer_cores, 1.0)
    return replace(pipeline, contention_s=0.0, trainer_cores=needed)
