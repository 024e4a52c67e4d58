"""benchmarks/agreement.py: its small form, and the arithmetic behind its table."""

from __future__ import annotations

from pathlib import Path

import agreement
from benchmark_process import small

from perfkit.stats import Interval


def test_small_form(tmp_path: Path) -> None:
    """Every clock times every round, and each pair of clocks is a row."""
    answer = small(tmp_path, "agreement")
    times = answer["details"]["times_s"]
    assert {len(values) for values in times.values()} == {3}
    assert all(value > 0 for values in times.values() for value in values)
    pairs = [(row["first"], row["second"]) for row in answer["rows"]]
    assert pairs == [*agreement.PAIRS, ("records", "bare")]
    assert len(answer["targets"]) == 2


def test_ratio_is_taken_round_by_round() -> None:
    """A drift that both clocks see leaves no trace in their ratio."""
    bare = [1.0, 2.0, 4.0]
    times = {"perfkit": [1.1 * t for t in bare], "timer": bare, "bare": bare, "records": bare}
    ratio = agreement.compare(times)[0]["ratio"]
    assert round(ratio.low, 9) == round(ratio.high, 9) == 1.1


def test_agreement_needs_one_inside_a_narrow_interval() -> None:
    """Containing 1 is not enough for a wide interval, nor being narrow for one beside it."""
    assert agreement.agrees(Interval(1.0, 0.98, 1.02)) is True
    assert agreement.agrees(Interval(1.0, 0.9, 1.1)) is False
    assert agreement.agrees(Interval(1.02, 1.01, 1.03)) is False
    assert agreement.agrees(Interval(1.0)) is None
