"""Several remedies at once: which of them go together, and what they save together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfkit import variants
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies._command import is_precision, names_of
from perfkit.diagnosis.remedies._contract import Proposal
from perfkit.diagnosis.remedies._ranking import priced
from perfkit.document import Remedy

_OF_WORKERS = {"prefetch_factor", "persistent_workers"}
COMBINATION = "combination"
"""Name of the remedy that is several of the others at once."""


def members(ranked: Sequence[Remedy]) -> tuple[str, ...]:
    """Return the names of the remedies that are predicted to save and go together, in their order.

    A bound predicts nothing at its low end. Of two that set the same variant, or a precision each, the first
    is taken, and so of no workers and what only workers have. Empty where fewer than two are left.
    """
    found: list[str] = []
    taken: set[str] = set()
    for remedy in ranked:
        if remedy.variant is None or remedy.basis == "bound" or not _saves(remedy):
            continue
        sets = {"precision" if is_precision(n) else n for n in names_of(remedy.variant)}
        if ("num_workers", "0") in variants.parse(remedy.variant):
            sets |= _OF_WORKERS
        if sets & taken:
            continue
        found.append(remedy.name)
        taken |= sets
    return tuple(found) if len(found) > 1 else ()


def combination(
    evidence: Evidence, names: Sequence[str], proposed: Mapping[str, Proposal]
) -> Remedy | None:
    """Return remedies together as one, with its prediction; None where one is not proposed or none saves.

    Args:
        names: of remedies that go together; see `members`.
        proposed: proposals by name, those tried as they came out.
    """
    if not names or not proposed.keys() >= set(names):
        return None
    parts = [proposed[name] for name in names]

    def effect(pipeline: Pipeline) -> Pipeline:
        for part in parts:
            pipeline = part.effect(pipeline)
        return pipeline

    together = Proposal(
        why=f"{', '.join(names[:-1])} and {names[-1]} together: what one saves, another cannot save again.",
        risk="That of each of them.",
        snippet="",
        effect=effect,
        basis="trialled" if any(part.basis == "trialled" for part in parts) else "arithmetic",
        variant="+".join(part.variant for part in parts if part.variant is not None),
        changes_training=any(part.changes_training for part in parts),
    )
    return priced(COMBINATION, evidence, together)


def _saves(remedy: Remedy) -> bool:
    saved = remedy.saves_s
    return saved is not None and (saved.value if saved.low is None else saved.low) > 0
