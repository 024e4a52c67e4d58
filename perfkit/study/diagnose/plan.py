"""What a diagnosis runs: one process with its arms; trials of some remedies; a bench of the best of them.

Every stage is decided from the results so far. What the trials and the bench run follows from what the first
generation measured, so that a diagnosis that was interrupted goes on with the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.diagnosis import Evidence
from perfkit.diagnosis.judge import Judgement, judge
from perfkit.diagnosis.remedies import COMBINATION, changed, members, remedies
from perfkit.document import Remedy
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.stats import Interval
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.diagnose import trials, verify
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.diagnose.stages import DIAGNOSIS, Stages, continued
from perfkit.study.diagnose.verify import Verification
from perfkit.study.matrix import row_of
from perfkit.study.rows import Averages, make_rows

ARMS = ("real", "replay", "replay_running")
PALINDROMES = 6
"""Fewer of them have no interval worth having; more would take longer than a minute."""
BLOCK_S = 0.45
"""0.4 to 0.5 s: six palindromes of three arms fit into half a minute."""
WARM_UP_S = 2.0
LOAD_S = 2.0
START_S = 12.0
"""What starting, warming up, the edges, the profiled burst and ending take on a machine of two cores."""
REPEAT_S = 3.0
"""Kept for a second evaluation: an evaluation that takes longer is run again only in time that is left."""


@dataclass(frozen=True, kw_only=True)
class DiagnosePlan:
    """Which generations a diagnosis runs."""

    rows: tuple[RowPlan, ...]
    """The one that is diagnosed."""
    base: RunConfig
    """The settings that its variant, and that of every remedy, changes."""
    environment: dict[str, Any] = field(default_factory=dict)
    """The Document's."""
    verify: int = 0
    """How many of the remedies are run; 0 runs none."""
    verify_s: float = 0.0
    """Part of the budget that is for verifying only."""
    operators: bool = False
    """Whether operators are told with their file and line."""
    side_by_side: bool = True
    """Whether two processes have room beside each other: where the batch is the largest that fits, nothing is
    tried, and what is verified runs one row after another."""
    seed: int = 0

    @property
    def total(self) -> int | None:
        """None: time decides how many trials there are, and how often a verified row is run."""
        return None

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        """Return the next generation, or None when the study is over; see `perfkit.study.session.Plan`."""
        stages = Stages.of(results)
        if stages.diagnosed is None:
            return self._diagnose(left_s - self.verify_s)
        if stages.diagnosed.processes[0].status != "ok":
            return None
        if self.side_by_side and stages.trialled is None and not stages.verified:
            tried = self._try(stages, left_s - self.verify_s)
            if tried is not None:
                return tried
        verification = self.verification(stages)
        if verification is None:
            return None
        bench = self.bench(verification)
        # fewer rows than there might have been need less time
        needed_s, most_s = (
            verify.budget_s(rows) for rows in (len(bench.rows), verify.most_rows(self.verify))
        )
        spent_s = sum(result.cost_s for result in stages.verified)
        share_s = self.verify_s * min(1.0, needed_s / most_s) - spent_s
        following = bench.next(stages.verified, min(left_s, share_s))
        return None if following is None else continued(following, results)

    def evidence(self, diagnosed: GenerationResult, telemetry: Averages) -> Evidence:
        """Return what the generation that diagnosed shows. Its process should have finished.

        Args:
            telemetry: averages by row.
        """
        (row,) = make_rows(self.rows, [diagnosed], telemetry)
        return evidence_of(row, self.rows[0], diagnosed.processes[0], self.environment)

    def trials(
        self, stages: Stages, evidence: Evidence, judgement: Judgement
    ) -> dict[str, Interval]:
        """Return by variant how many times faster a step was in its trial."""
        if stages.trialled is None:
            return {}
        tried = trials.candidates(remedies(evidence, judgement))
        return trials.outcomes(self.rows[0], self._rows_of(tried), stages.trialled)

    def verification(self, stages: Stages) -> Verification | None:
        """Return which remedies are run; None where none is to be, or none can be."""
        if not self.verify or stages.diagnosed is None:
            return None
        evidence = self.evidence(stages.diagnosed, {})
        judgement = judge(evidence)
        ranked = remedies(evidence, judgement, self.trials(stages, evidence, judgement))
        best = verify.chosen(ranked, self.verify)
        found: dict[str, RowPlan] = {}
        for remedy in best:
            self._add(found, remedy.name, remedy)
        together = members([remedy for remedy in best if remedy.name in found])
        self._add(found, COMBINATION, *(r for r in best if r.name in together))
        if not found:
            return None
        return Verification(rows=found, together=together if COMBINATION in found else ())

    def bench(self, verification: Verification) -> BenchPlan:
        """Return the bench that runs remedies beside the diagnosed row."""
        return BenchPlan(
            rows=(self.rows[0], *verification.rows.values()),
            side_by_side=self.side_by_side,
            seed=self.seed,
        )

    def row_with(self, *changes: str) -> RowPlan:
        """Return the diagnosed row with the variants of remedies besides its own."""
        return row_of(self.base, changed(self.rows[0].config.variants, *changes))

    def _add(self, found: dict[str, RowPlan], name: str, *parts: Remedy) -> None:
        """Add the row of a remedy, or of several at once, unless there is that row already."""
        changes = [remedy.variant for remedy in parts if remedy.variant is not None]
        row = self.row_with(*changes)
        if changes and row.key not in {self.rows[0].key, *(one.key for one in found.values())}:
            found[name] = row

    def _rows_of(self, tried: Sequence[str]) -> dict[str, RowPlan]:
        return {variant: self.row_with(variant) for variant in tried}

    def _diagnose(self, left_s: float) -> GenerationPlan:
        # without workers a loader takes nobody's core: there is nothing to run beside
        arms = ARMS if self.rows[0].config.num_workers else ARMS[:2]
        return GenerationPlan(
            number=1,
            group=DIAGNOSIS,
            rows=self.rows,
            arms=arms,
            palindromes=PALINDROMES,
            warm_up_s=WARM_UP_S,
            block_s=BLOCK_S,
            most_s=max(BLOCK_S, left_s - START_S),
            load_s=LOAD_S,
            repeat_s=REPEAT_S,
            partial=True,
            profile=True,
            stacks=self.operators,
        )

    def _try(self, stages: Stages, left_s: float) -> GenerationPlan | None:
        assert stages.diagnosed is not None
        evidence = self.evidence(stages.diagnosed, {})
        tried = self._rows_of(trials.candidates(remedies(evidence, judge(evidence))))
        return trials.trial_plan(
            (self.rows[0], *tried.values()),
            stages.diagnosed,
            number=stages.diagnosed.number + 1,
            cores=evidence.cores or 1,
            left_s=left_s,
        )
