"""Outputs of a network that does not learn, computed once: a teacher, a frozen encoder, a perceptual loss.

Its forward is run for every batch and has no backward, so that forward takes longer than backward, and most
of it is seen in a network's own `forward`, or in layers that are called. The same inputs give the same
outputs, wherever nothing random is done to them before. What is left is seen only when it runs, so that the
gain is a bound: forward in half of backward's time (see `vectorised_forward`).
"""

from __future__ import annotations

from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound", "host_bound")
LEAST = 1.5
"""Times that forward takes as long as backward: a network that only learns has 0.5 by its products, and up to
1 where memory is what it waits for."""
SNIPPET = """\
# once, before the training; the dataset then gives (input, output, target)
teacher.eval()
with torch.inference_mode():
    outputs = torch.cat([teacher(inputs) for inputs, _ in DataLoader(dataset, batch_size=64)])
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where forward takes longer than backward, most of it in a network's own `forward`."""
    effect = _seen.forward_as_backward(evidence)
    if effect is None or not _seen.in_a_network(evidence):
        return None
    phases_s = evidence.row.phases_s
    if phases_s["forward"] < LEAST * phases_s["backward"]:
        return None
    return Proposal(
        why=figures.of_long_forward(evidence),
        risk="It has to be a network that does not learn, and its inputs the same in every epoch: with random"
        " augmentation before it outputs are those of other inputs.",
        snippet=SNIPPET,
        effect=effect,
        basis="bound",
    )
