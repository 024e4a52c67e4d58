"""What runs before the first batch of every epoch, made cheaper or run less often: a sampler, mostly.

Samples of the stack name it where the training process makes its batches itself. What it will take is seen
only when it runs, so that the gain is a bound: an epoch that begins at once.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("startup_bound/first_batch",)
SNIPPET = """\
# {where}
# draw no more for an epoch than it uses; do once what is the same in every epoch;
# or make epochs longer, so that it runs less often
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the start of an epoch takes time, and a function was seen there."""
    verdict = _seen.verdict(judgement, "startup_bound")
    if verdict is None or verdict.stage != "first_batch":
        return None
    start_s = evidence.row.epoch_parts_s.get("epoch_start", 0.0)
    if not evidence.first_making or start_s < _seen.OTHER_SHARE * _seen.epoch_s(evidence):
        return None
    where = figures.function_of(evidence.first_making) or next(iter(evidence.first_making))
    return Proposal(
        why=f"Before the first batch of every epoch {figures.own(where)} runs; that takes"
        f" {_seen.of_epoch(evidence, start_s)}, {units.share(start_s / _seen.epoch_s(evidence))}.",
        risk="What it draws has to stay the same, or the training sees other data.",
        snippet=SNIPPET.format(where=where),
        effect=_seen.costs_nothing("start_s"),
        basis="bound",
    )
