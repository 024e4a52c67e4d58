"""Batches made ahead of the step that takes them, where the loop makes them by hand.

Whether the function that was seen makes batches is for its author to say, so that its time is the most that
can be saved. 15 % is XProf's threshold for a high share of "all other" time.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("untracked",)
HIGH_SHARE = 0.15
SNIPPET = """\
class Batches(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            yield {function}()


# each worker makes whole batches, from a random state of its own
batches = iter(torch.utils.data.DataLoader(Batches(), batch_size=None, num_workers={workers}))
batch = next(batches)  # in the loop, in the place of {function}()
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return the longest function of the untracked time, done by workers meanwhile."""
    found = evidence.attribution
    if found is None or not evidence.untracked:
        return None
    name, work = next(iter(evidence.untracked.items()))
    function = name.partition(" (")[0]
    cost_s = found.seconds.get("other", 0.0) * work.share
    if cost_s < HIGH_SHARE * found.epoch_s or not function.isidentifier():
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, rest_s=max(0.0, pipeline.rest_s - cost_s))

    workers = _seen.free_cores(evidence) or 1
    return Proposal(
        why=f"{name!r} takes {_seen.of_epoch(evidence, cost_s)}, {units.share(cost_s / found.epoch_s)}, and"
        " nothing is computed meanwhile.",
        risk="It helps only if the function makes batches, which can be done ahead; workers draw other random"
        " numbers, and where it only waits a thread that is one batch ahead is enough.",
        snippet=SNIPPET.format(function=function, workers=workers),
        effect=effect,
        basis="bound",
    )
