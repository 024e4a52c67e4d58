"""Separation metrics half as often: how often is a free choice, and the model learns nothing meanwhile.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import pipeline_of
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

if TYPE_CHECKING:
    from perfkit.diagnosis.judge import Judgement

ANSWERS = ("periodic_bound/metrics",)
TASK = "metrics"
SNIPPET = """\
if epoch % {every} == 0:
    log_all_separation_metrics(model, epoch)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return twice the number of epochs between two, where metrics take time."""
    now, found = pipeline_of(evidence), evidence.attribution
    if now is None or found is None or TASK not in now.periodic:
        return None
    cost_s, every = now.periodic[TASK].epoch_s, 2 * evidence.config.count_of("metrics_every")
    if every == 0 or cost_s < _seen.OTHER_SHARE * found.epoch_s:
        return None
    return Proposal(
        why=f"Metrics every {_seen.count(every // 2, 'epoch')} cost"
        f" {_seen.of_epoch(evidence, cost_s)}.",
        risk="There are half as many of them to look at; the training stays the same.",
        snippet=SNIPPET.format(every=every),
        variant=f"metrics_every={every}",
        effect=_seen.less_often(TASK, every),
    )
