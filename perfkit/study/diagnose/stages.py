"""The stages of a diagnosis, told apart by their group: diagnosing, trying briefly, verifying. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult

DIAGNOSIS, TRIALS, VERIFY = 0, 1, 2
"""Groups of a diagnosis; those of the verifying bench follow, from its own first group on."""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The generations of each stage that have finished."""

    diagnosed: GenerationResult | None
    trialled: GenerationResult | None
    verified: tuple[GenerationResult, ...]
    """As the verifying bench numbers its groups."""

    @classmethod
    def of(cls, results: Sequence[GenerationResult]) -> Stages:
        """Tell the generations of a diagnosis apart."""
        return cls(
            diagnosed=next((r for r in results if r.group == DIAGNOSIS), None),
            trialled=next((r for r in results if r.group == TRIALS), None),
            verified=tuple(
                replace(r, group=r.group - VERIFY) for r in results if r.group >= VERIFY
            ),
        )


def continued(plan: GenerationPlan, results: Sequence[GenerationResult]) -> GenerationPlan:
    """Return a plan of the verifying bench as a generation of the diagnosis: its number and group go on."""
    last = max((r.number for r in results), default=0)
    return replace(plan, number=last + 1, group=plan.group + VERIFY)
