"""Rates of the loader and of computing, each alone and together, and the workers that would keep up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from perfkit.diagnosis import witnesses
from perfkit.diagnosis.attribution import per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Samples a second; None is what was not measured."""

    actual: float | None
    """As it trains."""
    compute: float | None
    """With its batches there, and workers that rest."""
    loader: float | None
    """What the loader delivers with nobody training beside it."""


def rates(evidence: Evidence, found: Attribution) -> Rates:
    """Return the rates of one training process."""
    size = evidence.config.batch_size
    idle = found.replay_step_s
    return Rates(
        actual=size / found.step_s if found.step_s else None,
        compute=size / idle.value if idle is not None and idle.value > 0 else None,
        loader=None if evidence.loader is None else evidence.loader.samples_per_sec,
    )


def workers_needed(evidence: Evidence, found: Attribution, stage: str | None) -> int | None:
    """Return the workers that make batches as fast as the training takes them.

    What one worker does for a batch ÷ a step with its batches there (without replayed ones a step less its
    waits); for loaders that compute no more than the cores that the training leaves. None where more of them
    are no answer, or where their work was not seen.
    """
    facts = evidence.loader
    if stage in (None, "transfer") or facts is None or facts.made_s is None:
        return None
    if found.replay_step_s is not None:
        step_s = found.replay_step_s.value
    else:
        waits_s = found.seconds["waiting"] + found.seconds["transfer"]
        step_s = (found.step_s or 0.0) - per_step_s(evidence, found, waits_s)
    if step_s <= 0:
        return None
    needed = math.ceil((facts.made_s + (facts.handover_s or 0.0)) / step_s)
    free = witnesses.free_cores(evidence)
    if stage != "storage" and free is not None:
        needed = min(needed, free)
    return max(1, needed)
