"""Decoded samples kept in memory, or stored as arrays: they are read and decoded once and not every epoch.

What is left of a batch is collating it, handing it over and whatever is drawn anew each time; how much the
last is, is seen only when it runs, so that the gain is a bound: fetching at nothing. The variant keeps what
`dataset[i]` gave with all that was drawn in it, so that what it measures is the bound. Sources as in
`num_workers`.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis.evidence import Evidence, LoaderFacts
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound/storage", "input_bound/decode", "contended")
STAGES = ("storage", "decode")
SNIPPET = """\
class Cached(torch.utils.data.Dataset):
    def __init__(self, decoded, augment):
        # decode everything once, before the workers start: they share the memory
        self.samples = [decoded[index] for index in range(len(decoded))]
        self.augment = augment

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        image, label = self.samples[index]
        return self.augment(image), label
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where batches are late in reading or decoding, or decoding takes the trainer's cores."""
    facts = evidence.loader
    if facts is None or facts.fetch_s is None or facts.fetch_s <= 0:
        return None
    if _seen.has_variant(evidence, "cache_decoded"):
        return None
    told = _late(evidence, judgement, facts) or _contends(evidence, judgement, facts)
    if told is None:
        return None
    config = evidence.config
    samples_s = facts.fetch_s / config.batch_size * config.num_samples
    return Proposal(
        why=told,
        risk="All decoded samples have to fit into memory or onto a fast disk, and decoding them all in one"
        f" process takes {units.seconds(samples_s)} once; the training stays the same as long as random"
        " augmentation stays outside of the cache, and the variant keeps it inside: it draws once.",
        snippet=SNIPPET,
        effect=_seen.makes(facts, replace(facts, fetch_s=0.0, fetch_cpu_s=0.0), evidence),
        basis="bound",
        variant="cache_decoded",
    )


def _late(evidence: Evidence, judgement: Judgement, facts: LoaderFacts) -> str | None:
    stage, late_s = _seen.stage(judgement), _seen.late_s(evidence)
    if stage not in STAGES or late_s < _seen.INPUT_SHARE * _seen.epoch_s(evidence):
        return None
    doing = "reading" if stage == "storage" else "decoding"
    return (
        f"A batch takes {units.seconds(facts.fetch_s)} of {doing}, again in every epoch, and batches are"
        f" waited for {_seen.of_epoch(evidence, late_s)}."
    )


def _contends(evidence: Evidence, judgement: Judgement, facts: LoaderFacts) -> str | None:
    """Where workers take cores from the training, most of what they compute is to go with it."""
    if _seen.verdict(judgement, "contended") is None or facts.fetch_cpu_s is None:
        return None
    beside_s = (facts.collate_cpu_s or 0.0) + (facts.serialise_cpu_s or 0.0)
    if facts.fetch_cpu_s <= beside_s:
        return None
    return (
        f"Workers compute {units.seconds(facts.fetch_cpu_s)} for reading and decoding a batch, again in"
        f" every epoch, and take the training's cores for {_seen.takes(evidence, 'contention')}."
    )
