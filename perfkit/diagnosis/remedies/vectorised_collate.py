"""A collate function that works on whole arrays: a Python loop over numbers is what makes collating slow.

Turning 32 lists of 256 numbers into one tensor took 20 ms, stacking as many tensors 40 µs, on one core of
a 2024 server; from 30 µs a sample on it is more than stacking what lay in memory. What is left is seen
only when it runs, so that the gain is a bound: collating at nothing.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound/collate",)
LEAST_S = 30e-6
"""Of a sample; what is collated in less `batched_fetch` is for."""
SNIPPET = """\
def collate(samples):
    # no loop over single numbers: whole arrays become tensors, and tensors are stacked
    inputs = torch.stack([torch.as_tensor(inputs) for inputs, _ in samples])
    targets = torch.as_tensor([target for _, target in samples])
    return inputs, targets


loader = DataLoader(dataset, batch_size=batch_size, collate_fn=collate)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where batches are late in collating."""
    facts = evidence.loader
    if facts is None or not facts.collate_s or _seen.stage(judgement) != "collate":
        return None
    late_s = _seen.late_s(evidence)
    if facts.collate_s < LEAST_S * evidence.config.batch_size:
        return None
    if late_s < _seen.INPUT_SHARE * _seen.epoch_s(evidence):
        return None
    return Proposal(
        why=f"Collating a batch takes {units.seconds(facts.collate_s)}, and batches are waited for"
        f" {_seen.of_epoch(evidence, late_s)}.",
        risk="Samples of different sizes cannot be stacked and have to be padded or packed;"
        " the training stays the same.",
        snippet=SNIPPET,
        effect=_seen.makes(facts, replace(facts, collate_s=0.0, collate_cpu_s=0.0), evidence),
        basis="bound",
    )
