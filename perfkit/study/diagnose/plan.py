"""What a diagnosis runs: one process with its arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult

ARMS = ("real", "replay", "replay_running")
PALINDROMES = 6
"""Fewer of them have no interval worth having; more would take longer than a minute."""
BLOCK_S = 0.45
"""0.4 to 0.5 s: six palindromes of three arms fit into half a minute."""
WARM_UP_S = 2.0
LOAD_S = 2.0
START_S = 12.0
"""What starting, warming up, the edges of an epoch and ending take on a machine of two cores."""


@dataclass(frozen=True, kw_only=True)
class DiagnosePlan:
    """Which generations a diagnosis runs."""

    rows: tuple[RowPlan, ...]
    """The one that is diagnosed."""
    budget_s: float
    seed: int = 0

    @property
    def total(self) -> int | None:
        """One generation."""
        return 1

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        """Return the generation that diagnoses, or None once it has run; see `perfkit.study.session.Plan`."""
        if results:
            return None
        row = self.rows[0]
        # without workers a loader takes nobody's core: there is nothing to run beside
        arms = ARMS if row.config.num_workers else ARMS[:2]
        return GenerationPlan(
            number=1,
            group=0,
            rows=self.rows,
            arms=arms,
            palindromes=PALINDROMES,
            warm_up_s=WARM_UP_S,
            block_s=BLOCK_S,
            most_s=max(BLOCK_S, left_s - START_S),
            load_s=LOAD_S,
        )
