"""Short trials of remedies that nothing but running tells: other precisions, layouts and compiling. Pure.

The diagnosed row and each remedy's run side by side with their batches replayed, in palindromes; the ratio of
their steps feeds the pipeline model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from perfkit import variants
from perfkit.diagnosis.remedies import names_of
from perfkit.document import Remedy
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.stats import Interval, ratio_interval
from perfkit.study.budget import SAFETY
from perfkit.study.diagnose.stages import TRIALS
from perfkit.study.ratios import by_palindrome

ARM = "replay"
STAGES = ("precision", "model", "compile")
"""Stages of variants that are tried."""
MOST = 3
"""Remedies that are tried at most: with the reference as many processes as live side by side."""
PALINDROMES = 6
"""As many as the arms of a diagnosis have."""
BLOCK_S = 0.45
WARM_UP_S = 1.0
COMPILE_S = 40.0
"""What a first compiled step may take with cold caches, as seen on a CPU of two cores."""


def candidates(ranked: Sequence[Remedy]) -> tuple[str, ...]:
    """Return the variants worth a trial: the one of each stage that may save most first, then the others."""
    by_stage: dict[str, list[Remedy]] = {stage: [] for stage in STAGES}
    for remedy in sorted(ranked, key=_most_first):
        if remedy.basis == "bound" and remedy.variant is not None:
            stages = {variants.get(name).stage for name in names_of(remedy.variant)}
            by_stage.get(stages.pop() if len(stages) == 1 else "", []).append(remedy)
    places = [
        (place, _most_first(remedy), remedy.variant)
        for each in by_stage.values()
        for place, remedy in enumerate(each)
    ]
    return tuple(variant for _, _, variant in sorted(places) if variant is not None)


def trial_plan(
    rows: Sequence[RowPlan], first: GenerationResult, *, number: int, cores: int, left_s: float
) -> GenerationPlan | None:
    """Return the generation that tries as many rows as there is time for; None where there is for none.

    Args:
        rows: the diagnosed one, then those to try, best first.
        first: the generation that diagnosed: what starting and a palindrome cost is taken from it.
        cores: that processes may start on at the same time.
        left_s: seconds that may be spent.
    """
    reference, *others = rows
    if not any(block.arm == ARM for p in first.processes for block in p.blocks):
        return None
    chosen: list[RowPlan] = []
    for row in others:
        if len(chosen) < MOST and needed_s([reference, *chosen, row], first, cores) <= left_s:
            chosen.append(row)
    if not chosen:
        return None
    planned = (reference, *chosen)
    blocks_s = left_s - _starting_s(planned, first, cores)
    return GenerationPlan(
        number=number,
        group=TRIALS,
        rows=planned,
        arms=(ARM,),
        palindromes=PALINDROMES,
        warm_up_s=WARM_UP_S,
        block_s=BLOCK_S,
        most_s=max(BLOCK_S, blocks_s / len(planned)),
        edges=False,
    )


def needed_s(rows: Sequence[RowPlan], first: GenerationResult, cores: int) -> float:
    """Return what trying rows side by side is expected to take, in seconds.

    Every row's blocks take what those of an arm took in the diagnosis, at least as long as they are planned.
    """
    arms = {block.arm for process in first.processes for block in process.blocks}
    a_palindrome_s = max(2 * BLOCK_S, first.palindrome_s / max(1, len(arms)))
    blocks_s = len(rows) * PALINDROMES * a_palindrome_s
    return SAFETY * (_starting_s(rows, first, cores) + blocks_s)


def outcomes(
    reference: RowPlan, tried: Mapping[str, RowPlan], result: GenerationResult | None
) -> dict[str, Interval]:
    """Return by variant how many times faster a step was with its batches there, over palindromes.

    A row that failed has none; without the reference there are none.

    Args:
        tried: rows by variant; one that was not tried has no process in the result.
    """
    theirs = None if result is None else result.process(reference.key)
    if result is None or theirs is None or theirs.status != "ok":
        return {}
    found = {}
    for variant, row in tried.items():
        ours = result.process(row.key)
        if ours is None or ours.status != "ok":
            continue
        logs = by_palindrome(ours, theirs, ARM)
        if len(logs) >= PALINDROMES:
            found[variant] = ratio_interval(logs)
    return found


def _starting_s(rows: Sequence[RowPlan], first: GenerationResult, cores: int) -> float:
    """Starting, warming up and ending: of one process as in the diagnosis, of several a core each."""
    compiled = sum(any(n == "compile" for n, _ in row.config.variants) for row in rows[1:])
    a_start_s = max(0.0, first.cost_s - first.palindromes * first.palindrome_s)
    return a_start_s * math.ceil(len(rows) / max(1, cores)) + COMPILE_S * compiled


def _most_first(remedy: Remedy) -> tuple[float, str]:
    """Sort key: the most that it may save of an epoch first."""
    return (0.0 if remedy.saves_s is None else -remedy.saves_s.value), remedy.name
