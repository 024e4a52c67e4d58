"""Separation metrics half as often: how often is a free choice, and the model learns nothing meanwhile.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("periodic_bound/metrics",)
SNIPPET = """\
if epoch % {every} == 0:
    log_all_separation_metrics(model, epoch)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return twice the number of epochs between two, where metrics take time."""
    return _alike.half_as_often(
        evidence, "metrics", what="Metrics", setting="metrics_every", snippet=SNIPPET
    )
