"""The bench study: `next(results, left_s)` says what to run, until there is nothing worth running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.stats import MIN_GENERATIONS, ratio_interval
from perfkit.study.budget import FIRST_PALINDROMES, Costs, best_palindromes
from perfkit.study.matrix import fp32_twin, groups
from perfkit.study.ratios import epoch_s, log_ratios, variances

LOSS_SEEDS = (0, 1, 2)
"""Seeds of the FP32 reference whose spread is the tolerance of losses; the other rows run the first."""
GIVE_UP = ("timeout", "killed", "error", "compile_failed", "nan_loss", "unsupported", "oom")
SPARE_SHARE = 0.25
"""Part of a generation's expected cost that may go into repeating disturbed blocks."""


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """Which generations a bench runs. Immutable: everything it decides comes from the results so far."""

    rows: tuple[RowPlan, ...]
    """The first one is the reference."""
    generations: int | None = None
    """Pinned number of generations per group; None spends the budget."""
    steps: int | None = None
    """Pinned steps per block."""
    block_s: float = 1.0
    warm_up_s: float = 1.0
    side_by_side: bool = True
    full_epoch: bool = False
    """Run a real epoch of every row in every generation."""
    seed: int = 0

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        """Return the next generation, or None when the study is over.

        Args:
            results: finished generations, in order.
            left_s: seconds of the budget that are left.
        """
        candidates = []
        for index, group in enumerate(groups(self.rows)):
            mine = [r for r in results if r.group == index]
            living = self._living(group, mine)
            if not living:
                continue
            valid = self._valid(living, mine)
            if self.generations is not None and len(valid) >= self.generations:
                continue
            candidates.append((self._urgency(living, valid), index, living, mine, valid))
        for _, index, living, mine, valid in sorted(candidates, key=lambda c: (c[0], c[1])):
            plan = self._plan(index, living, mine, valid, results, left_s / len(candidates), left_s)
            if plan is not None:
                return plan
        return None

    def _plan(
        self,
        index: int,
        living: tuple[RowPlan, ...],
        mine: list[GenerationResult],
        valid: list[GenerationResult],
        results: Sequence[GenerationResult],
        share_s: float,
        left_s: float,
    ) -> GenerationPlan | None:
        side_by_side = self._fits_side_by_side(living, mine)
        palindromes: int | None = FIRST_PALINDROMES
        if valid:
            costs = self._costs(valid[-1])
            if self.generations is None:
                noise = [variances(row, living[0], valid) for row in living[1:]] or [(None, None)]
                within = max((w for w, _ in noise if w is not None), default=None)
                between = max((b for _, b in noise if b is not None), default=None)
                palindromes = best_palindromes(
                    done=len(valid), left_s=share_s, costs=costs, within=within, between=between
                ) or best_palindromes(
                    done=len(valid), left_s=left_s, costs=costs, within=within, between=between
                )
                if palindromes is None:
                    return None
        elif mine and left_s <= mine[-1].cost_s and self.generations is None:
            return None
        spent = valid[-1].cost_s if valid else 20.0
        return GenerationPlan(
            number=max((r.number for r in results), default=0) + 1,
            group=index,
            rows=living,
            palindromes=palindromes or 1,
            warm_up_s=self.warm_up_s,
            block_s=self.block_s,
            steps=self.steps,
            full_epoch=self.full_epoch,
            examine_seeds=None if _all_examined(living, mine) else self._seeds(living),
            side_by_side=side_by_side,
            reverse=not side_by_side and len(mine) % 2 == 1,
            spare_s=min(SPARE_SHARE * spent, max(0.0, left_s - spent)),
        )

    def _living(
        self, group: tuple[RowPlan, ...], mine: list[GenerationResult]
    ) -> tuple[RowPlan, ...]:
        """Rows worth another process: those that have not failed for good."""
        return tuple(row for row in group if not self._given_up(row, mine))

    def _given_up(self, row: RowPlan, mine: list[GenerationResult]) -> bool:
        for result in mine:
            process = result.process(row.key)
            if process is None or process.status not in GIVE_UP:
                continue
            if process.status == "oom" and result.side_by_side and len(result.processes) > 1:
                # memory may have run out for the company it was in: it is tried alone first
                continue
            return True
        return False

    def _fits_side_by_side(self, living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> bool:
        """Whether none of the rows that live on ran out of memory beside the others."""
        keys = {row.key for row in living}
        beside = [p for r in mine if r.side_by_side for p in r.processes]
        return self.side_by_side and not any(p.status == "oom" and p.key in keys for p in beside)

    @staticmethod
    def _valid(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> list[GenerationResult]:
        """Generations in which every living row finished."""
        return [
            r
            for r in mine
            if all((p := r.process(row.key)) is not None and p.status == "ok" for row in living)
        ]

    @staticmethod
    def _urgency(living: tuple[RowPlan, ...], valid: list[GenerationResult]) -> tuple[int, float]:
        """Sort key: groups without enough generations first, then the widest interval first."""
        if len(valid) < MIN_GENERATIONS:
            return (len(valid), 0.0)
        widths = [0.0]
        for row in living[1:]:
            interval = ratio_interval(log_ratios(row, living[0], valid, epoch_s))
            widths.append((interval.half_width or 0.0) / interval.value)
        return (MIN_GENERATIONS, -max(widths))

    @staticmethod
    def _costs(last: GenerationResult) -> Costs:
        blocks_s = last.palindromes * last.palindrome_s
        return Costs(
            fixed_s=max(0.0, last.cost_s - last.examine_s - blocks_s),
            palindrome_s=last.palindrome_s,
        )

    def _seeds(self, living: tuple[RowPlan, ...]) -> dict[str, tuple[int, ...]]:
        wanted: dict[str, tuple[int, ...]] = {}
        for row in living:
            twin = fp32_twin(row, self.rows)
            if twin is not None:
                wanted[row.key] = LOSS_SEEDS[:1]
        # a row may be held against an FP32 row of another group
        for row in self.rows:
            twin = fp32_twin(row, self.rows)
            if twin is not None and twin.key != row.key and twin in living:
                wanted[twin.key] = LOSS_SEEDS
        return {k: tuple(seed + self.seed for seed in seeds) for k, seeds in wanted.items()}


def _all_examined(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> bool:
    return all(
        any((p := result.process(row.key)) is not None and p.examined for result in mine)
        for row in living
    )
