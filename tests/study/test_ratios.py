"""Speed-ups: one log ratio per generation, taken only between processes of the same one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev, variance

import pytest
from fake_engine import block, generation, row
from hypothesis import given
from hypothesis import strategies as st

from perfkit.document import Status
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.stats import CONFIDENCE, EARLY_END_CONFIDENCE, ratio_interval, t_quantile
from perfkit.study.ratios import epoch_s, log_ratios, sample_s, speedup, variances

FP32, AMP = row("x/fp32"), row("x/amp")
STEP_S = st.floats(1e-4, 1e2)


def process(key: str, steps_s: Sequence[float], status: Status = "ok") -> ProcessResult:
    """A process with one palindrome (two equal blocks) per step time."""
    blocks = tuple(block(2 * n + half, n, s) for n, s in enumerate(steps_s) for half in (0, 1))
    return ProcessResult(key=key, status=status, blocks=blocks)


def pair(number: int, fp32: float, amp: float) -> GenerationResult:
    return generation(process("x/fp32", [fp32]), process("x/amp", [amp]), number=number)


def test_one_log_ratio_per_generation() -> None:
    """Each generation gives log(reference ÷ row), whatever the machine was doing in it."""
    logs = log_ratios(AMP, FP32, [pair(1, 0.2, 0.1), pair(2, 0.9, 0.3)], epoch_s)
    assert logs == pytest.approx([math.log(2), math.log(3)])


def test_the_interval_by_hand() -> None:
    """Geometric mean, and Student's t with one degree of freedom fewer than generations."""
    factors = (1.1, 1.2, 1.3, 1.2)
    judged = speedup(AMP, FP32, [pair(n, 0.1 * f, 0.1) for n, f in enumerate(factors)])
    logs = [math.log(f) for f in factors]
    half = 3.182446 * stdev(logs) / math.sqrt(4)
    assert t_quantile(CONFIDENCE, 3) == pytest.approx(3.182446, abs=1e-6)
    assert judged is not None
    assert judged.value == pytest.approx(math.exp(fmean(logs)))
    assert judged.low == pytest.approx(math.exp(fmean(logs) - half), rel=1e-6)
    assert judged.high == pytest.approx(math.exp(fmean(logs) + half), rel=1e-6)
    assert judged.outcome == "faster"


def test_a_generation_without_both_does_not_count() -> None:
    """A row is never held against a reference of another generation, nor against one that failed."""
    alone = generation(process("x/amp", [0.1]), number=1)
    failed = generation(process("x/fp32", [0.1], "killed"), process("x/amp", [0.1]), number=2)
    assert log_ratios(AMP, FP32, [alone, failed], epoch_s) == []
    assert speedup(AMP, FP32, [alone, failed]) is None


def test_fewer_than_four_generations_settle_nothing() -> None:
    """Three generations that agree perfectly are still inconclusive; a fourth settles it."""
    results = [pair(n, 0.2, 0.1) for n in range(4)]
    outcomes = [judged.outcome for n in (1, 3, 4) if (judged := speedup(AMP, FP32, results[:n]))]
    assert outcomes == ["inconclusive", "inconclusive", "faster"]


def test_the_reference_is_no_faster_than_itself() -> None:
    """The first row has the ratio 1 by definition."""
    judged = speedup(FP32, FP32, [])
    assert judged is not None and (judged.value, judged.outcome) == (1.0, "reference")


def test_steps_of_two_batch_sizes_are_compared_by_the_sample() -> None:
    """Twice the samples in one and a half of the time is faster by the sample."""
    small = process("x/fp32", [0.1])
    large = process("x/amp", [0.15])
    large = replace(large, blocks=tuple(replace(b, samples=2 * b.samples) for b in large.blocks))
    assert sample_s(small, FP32.config) == pytest.approx(0.1 / 16)
    assert sample_s(large, AMP.config) == pytest.approx(0.15 / 32)
    assert sample_s(ProcessResult(key="x/fp32", status="oom"), FP32.config) is None


def test_variances_by_hand() -> None:
    """Within: of palindromes, averaged; between: of the means, less what palindromes explain."""
    ratios = [(1.0, 1.1), (1.5, 1.4), (1.2, 1.3)]
    results = [
        generation(process("x/fp32", both), process("x/amp", (1.0, 1.0)), number=n)
        for n, both in enumerate(ratios)
    ]
    logs = [[math.log(r) for r in both] for both in ratios]
    expected_within = fmean(variance(both) for both in logs)
    expected_between = variance([fmean(both) for both in logs]) - expected_within / 2
    within, between = variances(AMP, FP32, results)
    assert within == pytest.approx(expected_within)
    assert between == pytest.approx(expected_between)


def test_other_arms_are_in_no_ratio() -> None:
    """Replayed batches are no training: neither ratios nor their noise know of them."""
    usual = [pair(n, 0.2 + 0.01 * n, 0.1) for n in range(4)]
    replayed = [
        replace(
            result,
            processes=tuple(
                replace(p, blocks=(*p.blocks, replace(block(9, 0, 7.0 + n), arm="replay_idle")))
                for p in result.processes
            ),
        )
        for n, result in enumerate(usual)
    ]
    assert speedup(AMP, FP32, replayed) == speedup(AMP, FP32, usual)
    assert speedup(AMP, FP32, replayed, sample_s) == speedup(AMP, FP32, usual, sample_s)
    assert variances(AMP, FP32, replayed) == variances(AMP, FP32, usual)


def test_a_higher_confidence_is_a_wider_interval() -> None:
    """The same values with the quantile that the study says."""
    results = [pair(n, 0.2 + 0.01 * n, 0.1) for n in range(4)]
    logs = log_ratios(AMP, FP32, results, epoch_s)
    judged = speedup(AMP, FP32, results, confidence=EARLY_END_CONFIDENCE)
    expected = ratio_interval(logs, EARLY_END_CONFIDENCE)
    assert judged is not None and (judged.low, judged.high) == (expected.low, expected.high)


def test_variances_that_cannot_be_told_are_none() -> None:
    """One palindrome has no variance within, one generation none between; nothing is filled in."""
    assert variances(AMP, FP32, []) == (None, None)
    assert variances(AMP, FP32, [pair(1, 0.2, 0.1)]) == (None, None)
    within, between = variances(AMP, FP32, [pair(1, 0.2, 0.1), pair(2, 0.2, 0.1)])
    assert within is None and between == pytest.approx(0)


@given(st.lists(st.tuples(STEP_S, STEP_S), min_size=2, max_size=8))
def test_swapping_reference_and_row_inverts_the_speedup(times: list[tuple[float, float]]) -> None:
    """The speed-up of A over B is one over that of B over A, bounds and all."""
    results = [pair(n, fp32, amp) for n, (fp32, amp) in enumerate(times)]
    one, other = speedup(AMP, FP32, results), speedup(FP32, AMP, results)
    assert one is not None and other is not None
    assert one.low is not None and one.high is not None and one.low <= one.value <= one.high
    assert one.value == pytest.approx(1 / other.value)
    assert other.high is not None and one.low == pytest.approx(1 / other.high, rel=1e-6)


@given(st.lists(st.tuples(STEP_S, STEP_S), min_size=1, max_size=6), st.floats(0.01, 100))
def test_a_machine_that_slows_down_as_a_whole_changes_nothing(
    times: list[tuple[float, float]], slower: float
) -> None:
    """Both processes of a generation slowed by one factor give the same log ratio."""
    usual = [pair(n, fp32, amp) for n, (fp32, amp) in enumerate(times)]
    slowed = [pair(n, fp32 * slower, amp * slower) for n, (fp32, amp) in enumerate(times)]
    expected = log_ratios(AMP, FP32, usual, epoch_s)
    assert log_ratios(AMP, FP32, slowed, epoch_s) == pytest.approx(expected, abs=1e-3)
