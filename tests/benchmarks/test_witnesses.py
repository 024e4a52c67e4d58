"""benchmarks/witnesses.py: its small form, and what it makes of blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import witnesses
from benchmark_process import small_here
from fake_engine import block

from perfkit.engine.results import BlockResult


def blocks(steps_s: dict[str, float]) -> list[BlockResult]:
    """Two palindromes of blocks with these step times."""
    order = [*steps_s, *reversed(steps_s)]
    return [
        replace(
            block(number, palindrome, steps_s[arm]),
            arm=arm,
            phases_s={"waiting": 0.001, "transfer": 0.003},
            run_delay_s=0.004 if arm == "real" else 0.0,
            not_ready_share=0.25,
            workers_cpu_s=0.1,
        )
        for palindrome in range(2)
        for number, arm in enumerate(order)
    ]


@pytest.mark.usefixtures("machine")
def test_small_form_runs_two_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their arms and both witnesses; batches that are there are handed over, not waited for."""
    answer, _ = small_here(monkeypatch, capsys, tmp_path, witnesses)
    rows = {row["job"]: row for row in answer["rows"]}
    assert tuple(rows) == witnesses.SMALL
    assert all(row["step_s"] > 0 for row in rows.values())
    assert rows["alone"]["not_ready_share"] == 1.0
    assert rows["alone"]["transfer"] == 0.0
    assert rows["many_tensors"]["transfer"] > 0.0


def test_input_and_contention_are_differences_within_a_palindrome() -> None:
    """A step of 10 ms takes 6 with replayed batches and 9 beside running workers."""
    row = witnesses.told("x", blocks({"real": 0.010, "replay": 0.006, "replay_running": 0.009}))
    assert row["input_s"].value == pytest.approx(0.004)
    assert row["contention_s"].value == pytest.approx(0.003)
    assert row["run_delay_s"].value == pytest.approx(0.004)
    assert (row["waiting"], row["transfer"]) == (0.001, 0.003)
    assert row["workers_cores"]["real"] == pytest.approx(0.1 / 0.1)


def test_targets_are_missed_by_a_witness_that_says_nothing() -> None:
    """Run delay that explains half of what the loader costs is a miss."""
    steps_s = {"real": 0.014, "replay": 0.006, "replay_running": 0.011}
    told = witnesses.told("x", blocks(steps_s))
    (beside, delay, *_) = witnesses.targets(dict.fromkeys(witnesses.JOBS, told))
    assert (beside.measured, beside.met) == ("0.80", True)
    assert (delay.measured, delay.met) == ("0.50", False)
