"""Speed-ups from generations: one log ratio per generation, Student's t over them.

A ratio is only ever taken between processes of one generation, which ran in turns on the same machine
in the same minute; between generations every process is replaced. So the interval holds both the noise
within processes and the noise between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, variance

from perfkit.config import RunConfig
from perfkit.document import Speedup
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.stats import CONFIDENCE, outcome, ratio_interval
from perfkit.study.forecast import epoch_parts_s, mean_step_s, real_blocks

Measure = Callable[[ProcessResult, RunConfig], float | None]


def epoch_s(process: ProcessResult, config: RunConfig) -> float | None:
    """Forecast seconds of an epoch; None when the process has no forecast."""
    parts = epoch_parts_s(process, config)
    return None if parts is None else sum(parts.values())


def sample_s(process: ProcessResult, config: RunConfig) -> float | None:
    """Seconds of a step per sample: comparable across batch sizes."""
    blocks = real_blocks([process])
    samples = sum(block.samples for block in blocks) / max(1, sum(b.steps for b in blocks))
    return mean_step_s(blocks) / samples if blocks and samples else None


def log_ratios(
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult], measure: Measure
) -> list[float]:
    """Return log(reference ÷ row) of every generation in which both finished."""
    found = []
    for result in results:
        ours, theirs = result.process(row.key), result.process(reference.key)
        if ours is None or theirs is None or ours.status != "ok" or theirs.status != "ok":
            continue
        this, that = measure(ours, row.config), measure(theirs, reference.config)
        if this and that:
            found.append(math.log(that / this))
    return found


def speedup(
    row: RowPlan,
    reference: RowPlan,
    results: Sequence[GenerationResult],
    measure: Measure = epoch_s,
    *,
    confidence: float = CONFIDENCE,
) -> Speedup | None:
    """Judge a row against the reference; None without a single generation of both.

    Args:
        confidence: of Student's t; the study says which, see `perfkit.stats`.
    """
    if row.key == reference.key:
        return Speedup(value=1.0, low=1.0, high=1.0, outcome="reference")
    logs = log_ratios(row, reference, results, measure)
    if not logs:
        return None
    interval = ratio_interval(logs, confidence)
    judged = outcome(interval, len(logs))
    return Speedup(value=interval.value, low=interval.low, high=interval.high, outcome=judged)


def variances(
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult]
) -> tuple[float | None, float | None]:
    """Variances of the log ratio of step times: within a generation (per palindrome) and between.

    Between is what is left of the variance of the generations' means once the noise that their
    palindromes explain is taken off. None where there is too little to tell.
    """
    within: list[float] = []
    means: list[float] = []
    counts: list[int] = []
    for result in results:
        ours, theirs = result.process(row.key), result.process(reference.key)
        if ours is None or theirs is None or ours.status != "ok" or theirs.status != "ok":
            continue
        logs = by_palindrome(ours, theirs)
        if not logs:
            continue
        means.append(fmean(logs))
        counts.append(len(logs))
        if len(logs) > 1:
            within.append(variance(logs))
    noise = fmean(within) if within else None
    if len(means) < 2:
        return noise, None
    explained = 0.0 if noise is None else fmean(noise / count for count in counts)
    return noise, max(0.0, variance(means) - explained)


def by_palindrome(ours: ProcessResult, theirs: ProcessResult, arm: str = "real") -> list[float]:
    """Return log(theirs ÷ ours) of the mean step of an arm, of every palindrome that both ran."""

    def steps(process: ProcessResult) -> dict[int, float]:
        blocks = [block for block in process.blocks if block.arm == arm]
        numbers = {block.palindrome for block in blocks}
        return {n: mean_step_s([b for b in blocks if b.palindrome == n]) for n in numbers}

    this, that = steps(ours), steps(theirs)
    return [math.log(that[n] / this[n]) for n in sorted(this.keys() & that.keys())]
