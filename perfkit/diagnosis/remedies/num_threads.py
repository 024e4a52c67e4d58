"""Fewer torch threads in the trainer, so that its workers have cores of their own.

Threads and workers that are more than the cores wait for each other. How much slower fewer threads
compute is seen only when it runs, so that the gain is a bound: contention at nothing.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("contended",)
SNIPPET = """\
import torch

torch.set_num_threads({threads})
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return as many threads as workers leave cores, where the two together are more than there are."""
    config, cores = evidence.config, evidence.cores
    if not evidence.on_cpu or cores is None or config.num_workers == 0:
        return None
    threads = max(1, cores - config.num_workers)
    if threads >= config.num_threads:
        return None
    if _seen.share(evidence, "contention") < _seen.OTHER_SHARE:
        return None
    return Proposal(
        why=f"{_seen.count(config.num_threads, 'training thread')} and"
        f" {_seen.count(config.num_workers, 'worker')} share {_seen.count(cores, 'core')}, and what they take"
        f" from each other costs {_seen.takes(evidence, 'contention')}.",
        risk="With fewer threads the network itself computes more slowly;"
        " sums are added in another order, else the training stays the same.",
        snippet=SNIPPET.format(threads=threads),
        settings={"num_threads": threads},
        effect=_seen.costs_nothing("contention_s"),
        basis="bound",
    )
