"""What a bench runs: `next(results, left_s)` says which generation, until there is nothing worth running.

Without a pinned number of generations a study ends when every row's interval is narrow enough
(`perfkit.stats.settled`), at the latest when another generation would overrun the budget. It never looks at
what the intervals say, and pays for having looked at their width with a higher quantile
(`EARLY_END_CONFIDENCE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.engine.plan import Examine, GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.stats import (
    CONFIDENCE,
    EARLY_END_CONFIDENCE,
    MIN_GENERATIONS,
    Interval,
    mean_interval,
    ratio_interval,
    settled,
)
from perfkit.study.budget import FIRST_PALINDROMES, SAFETY, Costs, best_palindromes
from perfkit.study.losses import examinations
from perfkit.study.matrix import groups
from perfkit.study.ratios import Measure, epoch_s, log_ratios, sample_s, variances

GIVE_UP = ("timeout", "killed", "error", "compile_failed", "nan_loss", "unsupported", "oom")
SPARE_SHARE = 0.25
"""Part of a generation's expected cost that may go into repeating disturbed blocks."""
FIRST_COST_S = 20.0
"""What a first generation is taken to cost."""
MOST_EXAMINATIONS = 2
"""How often a process may be lost while it is examined before its row goes without."""


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """Which generations a bench runs. Immutable: everything it decides comes from the results so far."""

    rows: tuple[RowPlan, ...]
    """The first one is the reference."""
    generations: int | None = None
    """Pinned number of generations per group; None ends early, or spends the budget."""
    steps: int | None = None
    """Pinned steps per block."""
    block_s: float = 1.0
    warm_up_s: float = 1.0
    side_by_side: bool = True
    full_epoch: bool = False
    """Run a real epoch of every row in every generation."""
    seed: int = 0

    @property
    def confidence(self) -> float:
        """Of Student's t, for every interval of the study."""
        return CONFIDENCE if self.generations is not None else EARLY_END_CONFIDENCE

    @property
    def total(self) -> int | None:
        """How many generations there will be; None where time decides."""
        return None if self.generations is None else self.generations * len(groups(self.rows))

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        """Return the next generation, or None when the study is over; see `perfkit.study.session.Plan`."""
        candidates = []
        for index, group in enumerate(groups(self.rows)):
            mine = [r for r in results if r.group == index]
            living = _living(group, mine)
            if not living:
                continue
            valid = _valid(living, mine)
            if self._is_over(living, valid):
                continue
            candidates.append((self._urgency(living, valid), index, living, mine, valid))
        for _, index, living, mine, valid in sorted(candidates, key=lambda c: (c[0], c[1])):
            plan = self._plan(index, living, mine, valid, results, left_s / len(candidates), left_s)
            if plan is not None:
                return plan
        return None

    def settled(self, results: Sequence[GenerationResult]) -> bool:
        """Whether the study is over because its intervals are narrow, whatever time is left."""
        if self.generations is not None:
            return False
        found = []
        for index, group in enumerate(groups(self.rows)):
            mine = [r for r in results if r.group == index]
            living = _living(group, mine)
            found += [self._is_over(living, _valid(living, mine))] if living else []
        return bool(found) and all(found)

    def _is_over(self, living: tuple[RowPlan, ...], valid: list[GenerationResult]) -> bool:
        if self.generations is not None:
            return len(valid) >= self.generations
        return all(
            interval is not None and settled(interval, count)
            for interval, count in self._intervals(living, valid)
        )

    def _intervals(
        self, living: tuple[RowPlan, ...], valid: list[GenerationResult]
    ) -> list[tuple[Interval | None, int]]:
        """What a group measures, each with its repetitions: speed-ups, or the epoch of a row on its own."""
        reference, others = living[0], living[1:]
        if not others:
            times = _alone(reference, valid, epoch_s) or _alone(reference, valid, sample_s)
            return [(mean_interval(times, self.confidence) if times else None, len(times))]
        found: list[tuple[Interval | None, int]] = []
        for row in others:
            # rows whose epoch cannot be forecast are compared by their steps
            logs = log_ratios(row, reference, valid, epoch_s) or log_ratios(
                row, reference, valid, sample_s
            )
            found.append((ratio_interval(logs, self.confidence) if logs else None, len(logs)))
        return found

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
        palindromes = FIRST_PALINDROMES
        cost_s = SAFETY * _last_cost_s(mine, results)
        if valid and self.generations is None:
            costs = _costs(valid[-1])
            noise = [variances(row, living[0], valid) for row in living[1:]] or [(None, None)]
            within = max((w for w, _ in noise if w is not None), default=None)
            between = max((b for _, b in noise if b is not None), default=None)
            chosen = None
            for time_s in (share_s, left_s):
                chosen = chosen or best_palindromes(
                    done=len(valid), left_s=time_s, costs=costs, within=within, between=between
                )
            if chosen is None:
                return None
            palindromes, cost_s = chosen, costs.of(chosen)
        elif results and self.generations is None and left_s < cost_s:
            # the first of all is run whatever is left: one row's figures are worth more than none
            return None
        return GenerationPlan(
            number=max((r.number for r in results), default=0) + 1,
            group=index,
            rows=living,
            palindromes=palindromes,
            warm_up_s=self.warm_up_s,
            block_s=self.block_s,
            steps=self.steps,
            full_epoch=self.full_epoch and not _epoch_outlasts(living, mine),
            examine=None if _all_examined(living, mine) else self._examine(living),
            side_by_side=self._fits_side_by_side(living, mine),
            reverse=len(mine) % 2 == 1,
            spare_s=min(SPARE_SHARE * cost_s, max(0.0, left_s - cost_s)),
        )

    def _fits_side_by_side(self, living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> bool:
        """Whether none of the rows that live on ran out of memory beside the others."""
        keys = {row.key for row in living}
        beside = [p for r in mine if r.side_by_side for p in r.processes]
        return self.side_by_side and not any(p.status == "oom" and p.key in keys for p in beside)

    def _urgency(
        self, living: tuple[RowPlan, ...], valid: list[GenerationResult]
    ) -> tuple[int, float]:
        """Sort key: groups without enough generations first, then the widest interval first."""
        if len(valid) < MIN_GENERATIONS:
            return (len(valid), 0.0)
        widths = [
            (interval.half_width or 0.0) / interval.value
            for interval, _ in self._intervals(living, valid)
            if interval is not None
        ]
        return (MIN_GENERATIONS, -max(widths, default=0.0))

    def _examine(self, living: tuple[RowPlan, ...]) -> dict[str, Examine]:
        # over all rows: one may be held against an FP32 row of another group
        wanted = examinations(self.rows, self.seed)
        return {row.key: wanted[row.key] for row in living}


def _living(group: tuple[RowPlan, ...], mine: list[GenerationResult]) -> tuple[RowPlan, ...]:
    """Rows worth another process: those that have not failed for good."""
    return tuple(row for row in group if not _given_up(row, mine))


def _given_up(row: RowPlan, mine: list[GenerationResult]) -> bool:
    for result in mine:
        process = result.process(row.key)
        if process is None or process.status not in GIVE_UP:
            continue
        if process.status == "oom" and result.side_by_side and len(result.processes) > 1:
            # memory may have run out because of the others: it is tried alone first
            continue
        return True
    return False


def _valid(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> list[GenerationResult]:
    """Generations in which every living row finished."""
    return [
        r
        for r in mine
        if all((p := r.process(row.key)) is not None and p.status == "ok" for row in living)
    ]


def _alone(row: RowPlan, valid: list[GenerationResult], measure: Measure) -> list[float]:
    processes = [p for r in valid if (p := r.process(row.key)) is not None]
    return [value for p in processes if (value := measure(p, row.config)) is not None]


def _last_cost_s(mine: list[GenerationResult], results: Sequence[GenerationResult]) -> float:
    """Seconds of a group's last generation; of the dearest of another group where it has had none."""
    if mine:
        return mine[-1].cost_s
    return max((r.cost_s for r in results), default=FIRST_COST_S)


def _costs(last: GenerationResult) -> Costs:
    blocks_s = last.palindromes * last.palindrome_s
    return Costs(
        fixed_s=max(0.0, last.cost_s - last.examine_s - blocks_s), palindrome_s=last.palindrome_s
    )


def _processes(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> list[ProcessResult]:
    return [p for row in living for r in mine if (p := r.process(row.key)) is not None]


def _all_examined(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> bool:
    """Whether nothing is left to examine: each row has been, or was lost over it too often."""
    return all(
        any(p.examined for p in of_row)
        or sum("examine" in p.lost for p in of_row) >= MOST_EXAMINATIONS
        for of_row in (_processes((row,), mine) for row in living)
    )


def _epoch_outlasts(living: tuple[RowPlan, ...], mine: list[GenerationResult]) -> bool:
    """Whether a real epoch took longer than a process may run: the next one would, too."""
    return any(p.unavailable.get("full_epoch") == "timeout" for p in _processes(living, mine))
