"""What a remedy is: one file in this folder (or in `PERFKIT_PATH/remedies`), found by its name.

    \"\"\"One line: the change, and what it answers.

    Where its figure comes from, and the source of its thresholds.
    \"\"\"

    ANSWERS = ("contended", "input_bound/decode")
    def propose(evidence, judgement) -> Proposal | None: ...

`ANSWERS` names the verdicts that it is meant for, a kind with all its stages or one stage of it: of remedies
that save as much, one that answers the primary verdict comes first. Without it a remedy answers none.

It answers with a Proposal where it applies to what was measured, else with None. Its `effect` says what
it does to the pipeline; how long anything then takes is computed by `pipeline.py` alone, so that remedies
combine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfkit.diagnosis.predict import Effect
from perfkit.document import Basis


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change that applies to a training. Its name is that of its file."""

    why: str
    """What was seen that it answers, one sentence."""
    risk: str
    """What can go wrong, and what it changes in the training; one sentence."""
    snippet: str
    """Lines to paste into one's own training script, valid Python."""
    effect: Effect
    basis: Basis = "arithmetic"
    """`arithmetic`: the effect is what will happen. `bound`: it is the most that can."""
    variant: str | None = None
    """The variant that tries it, e.g. `num_workers=4`; None where there is none."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that try it, where no variant does."""
    archs: tuple[str, ...] = ()
    """Other workloads that try it, where no variant does."""
    changes_training: bool = False
    """Whether the training comes out another one: its precision, batch or network."""
