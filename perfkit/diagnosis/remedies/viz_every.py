"""Embedding plots half as often: how often is a free choice, and the model learns nothing meanwhile.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _alike
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("periodic_bound/visualisation",)
SNIPPET = """\
if epoch % {every} == 0:
    plot_embeddings(model, epoch)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return twice the number of epochs between two, where plots take time."""
    return _alike.half_as_often(
        evidence, "visualisation", what="Plots", setting="viz_every", snippet=SNIPPET
    )
