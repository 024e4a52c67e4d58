"""Evaluation in large batches and without gradients: nothing is kept for a backward that never comes.

What is left of it is seen only when it runs, so that the gain is a bound. 3 % is XProf's threshold for
"all other" time.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.measured import Work
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("periodic_bound/evaluation",)
SNIPPET = """\
eval_loader = DataLoader(eval_dataset, batch_size=4 * batch_size, num_workers=2)
model.eval()
with torch.inference_mode():
    for inputs, targets in eval_loader:
        outputs = model(inputs.to(device, non_blocking=True))
model.train()
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where evaluation takes time."""
    if _seen.share(evidence, "eval") < _seen.OTHER_SHARE:
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, evaluation=Work())

    return Proposal(
        why=f"Evaluation costs {_seen.takes(evidence, 'eval')}.",
        risk="Larger batches take more memory; the training stays the same.",
        snippet=SNIPPET,
        effect=effect,
        basis="bound",
    )
