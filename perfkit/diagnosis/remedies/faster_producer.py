"""Batches made faster by the thread or process of the script's own that makes them, or by several of them.

The training waits for it, so that it takes longer for a batch than the training does; a queue that is longer
changes nothing. What several of them take from the training's cores is not known: the gain is a bound.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound",)
SNIPPET = """\
# {where}
# several at a time, and in processes: threads that compute in Python take turns with the training
loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, num_workers={workers})
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the training waits for batches that no loader of it makes."""
    if not evidence.waited or _seen.share(evidence, "waiting") < _seen.INPUT_SHARE:
        return None
    where = figures.maker(evidence) or next(iter(evidence.waited))

    def effect(pipeline: Pipeline) -> Pipeline:
        return pipeline.produces(blocked_s=0.0, cpu_s=0.0)

    workers = _seen.free_cores(evidence) or 1
    doing = "makes batches" if evidence.making else "waits for them"
    return Proposal(
        why=f"Batches that come too late cost {_seen.takes(evidence, 'waiting')},"
        f" {units.share(_seen.share(evidence, 'waiting'))}; {figures.own(where)} {doing}.",
        risk="A sampler decides which process makes which batch; workers draw other random numbers.",
        snippet=SNIPPET.format(where=where, workers=max(2, workers)),
        effect=effect,
        basis="bound",
    )
