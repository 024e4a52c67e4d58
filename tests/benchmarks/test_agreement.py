"""benchmarks/agreement.py: its small form, and the arithmetic behind its table."""

from __future__ import annotations

from pathlib import Path

import _attached_agreement
import agreement
import pytest
from _attached_agreement import PHASES, STEPS_EACH, WARM
from benchmark_process import small

from perfkit.records import StepRecord
from perfkit.stats import Interval


def test_small_form(tmp_path: Path) -> None:
    """Every clock times every round, and each pair of clocks is a row."""
    answer = small(tmp_path, "agreement")
    times = answer["details"]["times_s"]
    assert {len(values) for values in times.values()} == {3}
    assert all(value > 0 for values in times.values() for value in values)
    pairs = [(row["first"], row["second"]) for row in answer["rows"]]
    script = ("perfkit run", "bench's recorder")
    assert pairs == [*agreement.PAIRS, ("records", "bare"), *[script] * len(PHASES)]
    assert all(row["first_step_s"] > 0 and row["second_step_s"] > 0 for row in answer["rows"])
    assert len(answer["targets"]) == 2 + len(PHASES)


def test_ratio_is_taken_round_by_round() -> None:
    """A drift that both clocks see leaves no trace in their ratio."""
    bare = [1.0, 2.0, 4.0]
    times = {"perfkit": [1.1 * t for t in bare], "timer": bare, "bare": bare, "records": bare}
    ratio = agreement.compare(times)[0]["ratio"]
    assert round(ratio.low, 9) == round(ratio.high, 9) == 1.1


def test_phases_are_held_against_each_other_palindrome_by_palindrome() -> None:
    """Backward takes a fifth longer in the script, whatever drifts; edges of stretches are left out."""

    def steps(slower: float) -> list[StepRecord]:
        found = []
        for number in range(WARM + 4 * STEPS_EACH):
            edge = (number - WARM) % STEPS_EACH in (0, STEPS_EACH - 1) or number < WARM
            drift = 9.0 * slower if edge else 1.0 + (number - WARM) // (2 * STEPS_EACH)
            found.append(step(drift, slower))
        return found

    def step(drift: float, slower: float) -> StepRecord:
        one = dict.fromkeys(StepRecord._fields, 0)
        times = dict.fromkeys(PHASES, 0.1 * drift) | {"backward_s": 0.2 * drift * slower}
        return StepRecord(**(one | times))

    found = {row["phase"]: row for row in _attached_agreement.compared(steps(1.2), steps(1.0), 2)}
    for phase, row in found.items():
        wanted = 1.2 if phase == "backward" else 1.0
        assert row["ratio"].low == pytest.approx(wanted) == row["ratio"].high
    assert found["backward"]["first_step_s"] == pytest.approx(0.24 * 1.5)
    with pytest.raises(AssertionError, match="steps are missing"):
        _attached_agreement.compared(steps(1.0), steps(1.0)[1:], 2)


def test_agreement_needs_one_inside_a_narrow_interval() -> None:
    """Containing 1 is not enough for a wide interval, nor being narrow for one beside it."""
    assert agreement.agrees(Interval(1.0, 0.98, 1.02)) is True
    assert agreement.agrees(Interval(1.0, 0.9, 1.1)) is False
    assert agreement.agrees(Interval(1.02, 1.01, 1.03)) is False
    assert agreement.agrees(Interval(1.0)) is None
