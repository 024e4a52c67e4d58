"""Page-locked batches and copies that the host does not wait for.

Copies of pinned memory are faster and run while the host goes on launching; how much of a copy is left is
seen only when it runs, so that the gain is a bound. 5 % is XProf's threshold.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("h2d_bound",)
SNIPPET = """\
loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=4, pin_memory=True)
for inputs, targets in loader:
    inputs = inputs.to(device, non_blocking=True)
    targets = targets.to(device, non_blocking=True)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return pinned memory on CUDA, where copies to the device take time and come from pageable memory."""
    if not _seen.is_cuda(evidence) or evidence.config.pin_memory:
        return None
    if _seen.share(evidence, "h2d") < _seen.INPUT_SHARE:
        return None
    return Proposal(
        why=f"Copies from pageable memory to the device cost {_seen.takes(evidence, 'h2d')}.",
        risk="Pinned memory cannot be swapped out, so that too much of it slows the whole machine;"
        " the training stays the same.",
        snippet=SNIPPET,
        variant="pin_memory=1",
        effect=_seen.costs_nothing("h2d_s"),
        basis="bound",
    )
