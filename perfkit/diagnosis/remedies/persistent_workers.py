"""Workers that stay from epoch to epoch: their start is paid once and not every time.

What remains of an epoch's start is the first batch. Workers that do not persist have cost 7 minutes an
epoch where 35 seconds were needed (open-mmlab/mmhuman3d issue 233). 3 % is XProf's threshold for "all
other" time.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline, pipeline_of
from perfkit.diagnosis.remedies import _alike, _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("startup_bound",)


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return workers that persist, where there are some that do not and starting them is seen."""
    workers = evidence.config.num_workers
    if workers == 0 or evidence.config.persistent_workers:
        return None
    if _seen.share(evidence, "startup") < _seen.OTHER_SHARE:
        return None
    started_s = evidence.row.startup_s.get("worker_start")

    def effect(pipeline: Pipeline) -> Pipeline:
        # where it was not timed by itself, all but the making of a first batch
        left_s = pipeline.production_s if started_s is None else pipeline.start_s - started_s
        return replace(pipeline, start_s=min(pipeline.start_s, max(0.0, left_s)))

    now = pipeline_of(evidence)
    start = "Starting" if now is None else f"Starting, {units.seconds(now.start_s)} at each epoch,"
    return Proposal(
        why=f"{start} costs {_seen.takes(evidence, 'startup')}, and workers are started anew each time.",
        risk="A dataset object that is changed between epochs is not seen by workers that live on;"
        " the training stays the same.",
        snippet=_alike.loader_snippet(num_workers=workers, persistent_workers=True),
        variant="persistent_workers=1",
        effect=effect,
    )
