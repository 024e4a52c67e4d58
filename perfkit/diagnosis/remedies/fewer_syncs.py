"""No synchronisation in every step: `.item()`, `.cpu()` and prints of a tensor drain the device's queue.

Losses that are added up on the device and read once in a while cost nothing. 5 % is XProf's threshold for
what stands in the way of the device.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("sync_bound",)
SNIPPET = """\
total = torch.zeros((), device=device)
for step, (inputs, targets) in enumerate(loader, start=1):
    loss = criterion(model(inputs), targets)
    total += loss.detach()
    if step % 100 == 0:
        print(step, total.item() / step)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where synchronising calls cost the device time."""
    if _seen.share(evidence, "sync") < _seen.INPUT_SHARE:
        return None
    calls = {} if evidence.burst is None else evidence.burst.synchronising
    where = max(calls, key=lambda place: calls[place]) if calls else None
    place = "" if where is None else f", most often {where}"
    return Proposal(
        why=f"Calls that wait for the device{place}, cost {_seen.takes(evidence, 'sync')}.",
        risk="What is printed is a mean of some steps and comes later; the training stays the same.",
        snippet=SNIPPET,
        effect=_seen.costs_nothing("sync_s"),
    )
