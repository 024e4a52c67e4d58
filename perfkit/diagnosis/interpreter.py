"""Batches that were ready and are handed over late, because a worker's interpreter computes meanwhile.

A worker hands a batch over from threads of its own: one writes it into the queue, one passes on the file
descriptors of its shared tensors. Both need the interpreter lock, which code in Python gives away only every
5 ms (`sys.getswitchinterval`) and a call that computes in C not before it returns. So a batch whose two
tensors are handed over in 2 ms beside a worker that rests took 14 ms beside one that decoded in Python.
"""

from __future__ import annotations

from perfkit.diagnosis.attribution import per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence

TIMES = 3.0
"""Handing over explains this many times what a worker computes for it: 1.4 times were measured for 1280
tensors a batch, 1.7 to 2.3 for two."""
FIXED_S = 1e-3
"""And this much more: passing two file descriptors on and waking the trainer up."""
HANDS_OVER = 2.0
"""What is left of it beside a worker that rests, in the same unit: the middle of what was measured."""
COMPUTES = 0.5
"""From this part of making a batch on, a worker holds its interpreter most of that time."""


def held_up_s(evidence: Evidence, found: Attribution) -> float:
    """Return the seconds of a step that handing over takes because workers compute; 0 where it does not.

    They have to be more than handing over explains, and no more than workers compute for a batch. Nothing is
    said where one of these was not seen.
    """
    facts = evidence.loader
    if evidence.config.num_workers == 0 or facts is None or facts.made_s is None:
        return 0.0
    if facts.serialise_cpu_s is None or facts.fetch_cpu_s is None:
        return 0.0
    hand_s = per_step_s(evidence, found, found.seconds.get("transfer", 0.0))
    computed_s = facts.fetch_cpu_s + (facts.collate_cpu_s or 0.0)
    late_s = hand_s - HANDS_OVER * facts.serialise_cpu_s
    unexplained = hand_s > TIMES * facts.serialise_cpu_s + FIXED_S
    computing = computed_s >= COMPUTES * facts.made_s and computed_s >= late_s
    return late_s if unexplained and computing else 0.0


def computing_stage(evidence: Evidence) -> str:
    """Return what workers compute longer for a batch: `decode` or `collate`."""
    facts = evidence.loader
    fetch_s = 0.0 if facts is None else facts.fetch_cpu_s or 0.0
    collate_s = 0.0 if facts is None else facts.collate_cpu_s or 0.0
    return "collate" if collate_s > fetch_s else "decode"
