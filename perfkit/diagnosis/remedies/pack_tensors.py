"""Fewer, larger tensors in a batch: taking one over from a worker costs something for every tensor in it.

114 tensors packed into 9 made training 1.25 to 1.67 times as fast (rf-detr issue 1399). What is left of
taking over is seen only when it runs, so that the gain is a bound. 5 % is XProf's threshold for input.
A batch that is known to have no more than those 9 is packed.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound/transfer",)
SNIPPET = """\
def collate(samples):
    boxes = [sample["boxes"] for sample in samples]
    lengths = torch.tensor([len(each) for each in boxes])
    images = torch.stack([sample["image"] for sample in samples])
    return {"images": images, "boxes": torch.cat(boxes), "lengths": lengths}


# in the training loop: boxes of each sample = batch["boxes"].split(batch["lengths"].tolist())
loader = DataLoader(dataset, batch_size=batch_size, num_workers=2, collate_fn=collate)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where taking over batches that were ready takes time."""
    if evidence.config.num_workers == 0 or _seen.held_up_s(evidence) > 0:
        return None
    if _seen.share(evidence, "transfer") < _seen.INPUT_SHARE:
        return None
    facts = evidence.loader
    if facts is not None and facts.is_packed:
        return None
    tensors = None if facts is None else facts.tensors
    count = "" if tensors is None else f", of {tensors:.0f} tensors each"
    return Proposal(
        why=f"Batches were ready, and taking them over from workers{count} costs"
        f" {_seen.takes(evidence, 'transfer')}.",
        risk="The loop has to split packed tensors again, which is cheap as views;"
        " the training stays the same.",
        snippet=SNIPPET,
        effect=_seen.costs_nothing("transfer_s"),
        basis="bound",
    )
