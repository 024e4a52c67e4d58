"""Whole batches at once (`__getitems__`): data in memory is indexed once, not once a sample.

Indexing a tensor and stacking it took 3 µs a sample, decoding a small JPEG alone 75 µs, on one core of a
2024 server: below 30 µs a sample comes from memory.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound/decode", "input_bound/collate")
IN_MEMORY_S = 30e-6
SNIPPET = """\
class InMemory(torch.utils.data.Dataset):
    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.targets)

    def __getitems__(self, indices):
        return self.inputs[indices], self.targets[indices]


loader = DataLoader(InMemory(inputs, targets), batch_size=batch_size, collate_fn=lambda batch: batch)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where batches are waited for although their samples come from memory."""
    if _seen.share(evidence, "waiting") < _seen.INPUT_SHARE:
        return None
    facts = evidence.loader
    if facts is None or facts.made_s is None:
        return None
    sample_s = facts.made_s / evidence.config.batch_size
    if not 0 < sample_s < IN_MEMORY_S:
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        return pipeline.produces(blocked_s=0.0, cpu_s=0.0)

    return Proposal(
        why=f"Samples come from memory, {units.seconds(sample_s)} each, and fetching them one by one makes"
        f" the training wait {_seen.takes(evidence, 'waiting')}.",
        risk="A transform has to take whole batches, and random ones then draw other numbers;"
        " without such a transform the training stays the same.",
        snippet=SNIPPET,
        effect=effect,
        basis="bound",
    )
