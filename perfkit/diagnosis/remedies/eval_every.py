"""Evaluation half as often: the model learns nothing while it is evaluated.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("periodic_bound/evaluation",)
SNIPPET = """\
if epoch % 2 == 0 or epoch == epochs:
    evaluate(model, eval_loader)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return half the evaluations, where they take time."""
    if _seen.share(evidence, "eval") < _seen.OTHER_SHARE:
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        rarer = replace(pipeline.evaluation, every=2 * pipeline.evaluation.every)
        return replace(pipeline, evaluation=rarer)

    return Proposal(
        why=f"Evaluation costs {_seen.takes(evidence, 'eval')}.",
        risk="Early stopping and the choice of the best weights see every other evaluation;"
        " the training itself stays the same.",
        snippet=SNIPPET,
        effect=effect,
    )
