"""What `compare` says of scripts that were watched: windows of one process, which are alike."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from compared import held
from simulated_scripts import watched

from perfkit.report.comparison import remarks

PAIRS = 120


def test_a_run_against_itself_is_the_same() -> None:
    """At another moment too, when its windows are others."""
    whole = watched(random.Random(1))
    earlier = replace(watched(random.Random(2)), created=whole.created, complete=False)
    for one in (whole, earlier):
        found = held(one, whole, "slower:0%,memory:0%,inconclusive")
        assert found.same_study and found.tripped == ()
        assert [row.judged.outcome for row in found.compared if row.judged] == ["same"]


def test_ranks_are_matched_by_their_key_and_none_is_a_reference() -> None:
    """The first row is the rank that is slowest, not one that the others are held against."""
    rng = random.Random(3)
    old, new = watched(rng, ranks=2, drift=0.0), watched(rng, ranks=2, slower=2.0, drift=0.0)
    new = replace(new, rows=new.rows[::-1])
    found = held(old, new)
    assert [row.key for row in found.compared] == ["run/rank1", "run/rank0"]
    for row in found.compared:
        assert row.speedup is not None and row.speedup.outcome == "slower"
        assert row.speedup.value == pytest.approx(0.5, rel=0.05)
    assert found.reference is None
    assert found.unavailable == {"against_reference": "attached"}
    assert any("a script that was watched has none" in text for _, text in remarks(found))
    assert "windows of steps" in found.method["interval"]


def test_a_first_epoch_alone_is_not_compared() -> None:
    """There is no epoch to hold against another; whoever asked for a settled answer is told."""
    rng = random.Random(4)
    old, new = watched(rng), watched(rng)
    row = replace(
        new.rows[0],
        epoch_time_s=None,
        generation_epoch_time_s=(),
        unavailable={**new.rows[0].unavailable, "epoch_time_s": "first_epoch"},
    )
    found = held(old, replace(new, rows=(row,)), "slower:5%,inconclusive")
    assert found.compared[0].speedup is None
    assert found.compared[0].unavailable["speedup"] == "first_epoch"
    assert [note.code for note in found.tripped] == ["inconclusive"]


def test_a_gate_never_trips_on_two_runs_of_one_script_and_finds_a_fifth() -> None:
    """Simulated: steps that stray by 6 % and remember half of it, a machine that drifts by 2 %."""
    rng = random.Random(5)

    def trips(slower: float) -> int:
        pairs = (
            (watched(rng, memory=0.5), watched(rng, memory=0.5, slower=slower))
            for _ in range(PAIRS)
        )
        return sum(bool(held(old, new, "slower:5%").tripped) for old, new in pairs)

    assert trips(1.0) <= 0.01 * PAIRS
    assert trips(1.2) >= 0.9 * PAIRS


@pytest.mark.parametrize("memory", [0.0, 0.97])
def test_intervals_hold_the_truth_though_neighbours_are_alike(memory: float) -> None:
    """Simulated: nearly as often as they say, however long the steps remember."""
    rng = random.Random(6)
    held_truth = 0
    for _ in range(PAIRS):
        judged = (
            held(watched(rng, memory=memory, drift=0.0), watched(rng, memory=memory, drift=0.0))
            .compared[0]
            .speedup
        )
        assert judged is not None and judged.low is not None and judged.high is not None
        held_truth += judged.low <= 1 <= judged.high
    assert held_truth >= 0.9 * PAIRS
