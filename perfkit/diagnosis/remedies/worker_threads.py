"""One thread in each loader worker: libraries like OpenCV start as many as there are cores, in every worker.

Seen by the CPU time of the workers, which is more than what their fetching threads and their queues used.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("contended",)
TIMES = 1.5
"""Workers that use this much more CPU than is accounted for have threads of their own."""
SNIPPET = """\
def one_thread(worker):
    import torch

    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(0)
    except ImportError:
        pass


loader = DataLoader(
    dataset, batch_size=batch_size, num_workers={workers}, worker_init_fn=one_thread
)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where workers slow the training down and use more CPU than their own threads account for."""
    if _seen.share(evidence, "contention") < _seen.OTHER_SHARE:
        return None
    facts = evidence.loader
    real = [s for s in evidence.stretches if s.arm == "real" and s.workers_cpu_s is not None]
    steps = sum(len(s.step_s) for s in real)
    if facts is None or facts.fetch_cpu_s is None or steps == 0:
        return None
    used_s = sum(s.workers_cpu_s or 0.0 for s in real) / steps
    own_s = facts.fetch_cpu_s + (facts.collate_cpu_s or 0.0) + (facts.serialise_cpu_s or 0.0)
    if used_s < TIMES * own_s or own_s <= 0:
        return None
    return Proposal(
        why=f"Workers use {used_s / own_s:.1f} times the CPU that their own threads account for,"
        f" and contention costs {_seen.takes(evidence, 'contention')}.",
        risk="A worker may take longer for a batch; the training stays the same.",
        snippet=SNIPPET.format(workers=evidence.config.num_workers),
        effect=_seen.costs_nothing("contention_s"),
        basis="bound",
    )
